target_sources(dmcached_core PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/array_check.cc
  ${CMAKE_CURRENT_LIST_DIR}/cblock_bits.cc
  ${CMAKE_CURRENT_LIST_DIR}/check_runner.cc
  ${CMAKE_CURRENT_LIST_DIR}/checker.cc
  ${CMAKE_CURRENT_LIST_DIR}/finding.cc
  ${CMAKE_CURRENT_LIST_DIR}/finding_collector.cc
  ${CMAKE_CURRENT_LIST_DIR}/index_walk.cc
  ${CMAKE_CURRENT_LIST_DIR}/origin_parts.cc
  ${CMAKE_CURRENT_LIST_DIR}/path_check.cc
  ${CMAKE_CURRENT_LIST_DIR}/reach_map.cc
  ${CMAKE_CURRENT_LIST_DIR}/space_map_check.cc
  ${CMAKE_CURRENT_LIST_DIR}/superblock_check.cc
  ${CMAKE_CURRENT_LIST_DIR}/tolerant_reader.cc)
