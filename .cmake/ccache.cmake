# Compiles through ccache where it is installed.
find_program(ccache_program ccache)
mark_as_advanced(ccache_program)
if(ccache_program)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${ccache_program} CACHE STRING "")
endif()
