# Everyday build: cmake -C .cmake/debug.cmake -S . -B build/debug -G Ninja
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
include(${CMAKE_CURRENT_LIST_DIR}/ccache.cmake)
