// Uses a message of the installed protos without the client library.
#include <iostream>

#include "dmcached/v1/cache_service.pb.h"

int main() {
  dmcached::v1::GetCacheRequest request;
  request.set_name("consumer");
  std::cout << request.GetTypeName() << "\n";
  return 0;
}
