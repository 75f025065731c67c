// What a check found, as messages.
#ifndef DMCACHED_SERVER_CHECK_CONVERT_H_
#define DMCACHED_SERVER_CHECK_CONVERT_H_

#include "core/maintenance/check_runner.h"
#include "dmcached/v1/maintenance_service.pb.h"

namespace dmcached {

void FillFinding(const Finding& finding, v1::CheckFinding* message);
void FillSummary(const CheckResult& result, v1::CheckSummary* message);

}  // namespace dmcached

#endif  // DMCACHED_SERVER_CHECK_CONVERT_H_
