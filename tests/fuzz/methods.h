// Every method of the services, in an order that inputs of the request fuzzer number them by.
#ifndef DMCACHED_TESTS_FUZZ_METHODS_H_
#define DMCACHED_TESTS_FUZZ_METHODS_H_

#include <vector>

#include "core/base/check.h"
#include "dmcached/v1/cache_service.pb.h"
#include "dmcached/v1/maintenance_service.pb.h"
#include "dmcached/v1/metadata_service.pb.h"

namespace dmcached {

// As the descriptors name them.
inline std::vector<const google::protobuf::MethodDescriptor*> Methods() {
  std::vector<const google::protobuf::MethodDescriptor*> methods;
  for (const auto* file : {v1::CreateCacheRequest::descriptor()->file(), v1::MutateRequest::descriptor()->file(),
                           v1::CheckRequest::descriptor()->file()}) {
    DMCACHED_CHECK(file->service_count() == 1);
    for (int i = 0; i < file->service(0)->method_count(); ++i) methods.push_back(file->service(0)->method(i));
  }
  return methods;
}

}  // namespace dmcached

#endif  // DMCACHED_TESTS_FUZZ_METHODS_H_
