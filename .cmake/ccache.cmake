# Compiles through ccache where it is installed.
find_program(ccache_program ccache)
mark_as_advanced(ccache_program)
if(ccache_program)
  # ccache uses precompiled headers only when told that their macros and times do not matter.
  set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_SLOPPINESS=pch_defines,time_macros ${ccache_program} CACHE STRING "")
endif()
