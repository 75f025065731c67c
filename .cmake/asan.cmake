# AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer: cmake -C .cmake/asan.cmake -S . -B build/asan -G Ninja
#
# -O1 because the property tests are too slow without optimisation; -g1 keeps line numbers in reports and links quickly.
set(CMAKE_BUILD_TYPE None CACHE STRING "")
set(CMAKE_CXX_FLAGS "-O1 -g1" CACHE STRING "")
set(DMCACHED_SANITIZER address CACHE STRING "")
set(DMCACHED_PRECOMPILED_HEADERS ON CACHE BOOL "")
include(${CMAKE_CURRENT_LIST_DIR}/ccache.cmake)
