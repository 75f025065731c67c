# Fuzzers, under AddressSanitizer and UndefinedBehaviorSanitizer: cmake -C .cmake/fuzz.cmake -S . -B build/fuzz -G Ninja
set(CMAKE_C_COMPILER clang CACHE STRING "")
set(CMAKE_CXX_COMPILER clang++ CACHE STRING "")
set(CMAKE_BUILD_TYPE None CACHE STRING "")
set(CMAKE_CXX_FLAGS "-O1 -g1" CACHE STRING "")
set(DMCACHED_SANITIZER address CACHE STRING "")
set(DMCACHED_FUZZERS ON CACHE BOOL "")
include(${CMAKE_CURRENT_LIST_DIR}/ccache.cmake)
