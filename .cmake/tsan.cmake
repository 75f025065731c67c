# ThreadSanitizer: cmake -C .cmake/tsan.cmake -S . -B build/tsan -G Ninja
#
# Every executable of this build links tests/support/tsan_absl_shim.cc, which tells ThreadSanitizer what Debian's
# uninstrumented Abseil and gRPC order.
set(CMAKE_BUILD_TYPE None CACHE STRING "")
set(CMAKE_CXX_FLAGS "-O1 -g1" CACHE STRING "")
set(DMCACHED_SANITIZER thread CACHE STRING "")
set(DMCACHED_PRECOMPILED_HEADERS ON CACHE BOOL "")
include(${CMAKE_CURRENT_LIST_DIR}/ccache.cmake)
