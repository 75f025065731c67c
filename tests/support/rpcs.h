// The rpcs of dmcached.v1, for tests that hold for every one.
#ifndef DMCACHED_TESTS_SUPPORT_RPCS_H_
#define DMCACHED_TESTS_SUPPORT_RPCS_H_

#include <array>
#include <vector>

#include "dmcached/v1/cache_service.pb.h"
#include "dmcached/v1/maintenance_service.pb.h"
#include "dmcached/v1/metadata_service.pb.h"
#include "google/protobuf/descriptor.h"

namespace dmcached {

inline std::array<const google::protobuf::FileDescriptor*, 3> ServiceFiles() {
  return {v1::GetCacheRequest::descriptor()->file(), v1::CommitRequest::descriptor()->file(),
          v1::CheckRequest::descriptor()->file()};
}

inline std::vector<const google::protobuf::MethodDescriptor*> Rpcs() {
  std::vector<const google::protobuf::MethodDescriptor*> rpcs;
  for (const google::protobuf::FileDescriptor* file : ServiceFiles()) {
    for (int i = 0; i < file->service_count(); ++i) {
      for (int k = 0; k < file->service(i)->method_count(); ++k) rpcs.push_back(file->service(i)->method(k));
    }
  }
  return rpcs;
}

}  // namespace dmcached

#endif  // DMCACHED_TESTS_SUPPORT_RPCS_H_
