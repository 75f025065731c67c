# Compiles through ccache where it is installed.
find_program(ccache_program ccache)
mark_as_advanced(ccache_program)
if(ccache_program)
  # ccache uses precompiled headers only when told that their macros and times do not matter; with a base folder another
  # clone of the same sources finds what the first one compiled.
  get_filename_component(source_folder ${CMAKE_CURRENT_LIST_DIR}/.. ABSOLUTE)
  set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_BASEDIR=${source_folder}
    CCACHE_NOHASHDIR=1 ${ccache_program} CACHE STRING "")
endif()
