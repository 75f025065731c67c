target_sources(dmcached_core PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/block_cache.cc
  ${CMAKE_CURRENT_LIST_DIR}/block_reader.cc
  ${CMAKE_CURRENT_LIST_DIR}/block_set.cc
  ${CMAKE_CURRENT_LIST_DIR}/bulk_writer.cc
  ${CMAKE_CURRENT_LIST_DIR}/commit_batch.cc
  ${CMAKE_CURRENT_LIST_DIR}/frame_pool.cc
  ${CMAKE_CURRENT_LIST_DIR}/index_tree.cc
  ${CMAKE_CURRENT_LIST_DIR}/packed_array.cc
  ${CMAKE_CURRENT_LIST_DIR}/run_writer.cc
  ${CMAKE_CURRENT_LIST_DIR}/space_map.cc
  ${CMAKE_CURRENT_LIST_DIR}/store.cc
  ${CMAKE_CURRENT_LIST_DIR}/store_commit.cc
  ${CMAKE_CURRENT_LIST_DIR}/store_load.cc)
