# Everyday build: cmake -C .cmake/dev.cmake -S . -B build/dev -G Ninja
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
include(${CMAKE_CURRENT_LIST_DIR}/ccache.cmake)
