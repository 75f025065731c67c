# What metadata tests share: a decoder of images, the reference tools, and readers of an open cache.
add_library(dmcached_metadata_test_support STATIC
  cache_contents.cc
  cache_model.cc
  image_walker.cc
  open_cache.cc
  random_mutation.cc
  reference_tools.cc
  xml_dump.cc)
add_library(dmcached::metadata_test_support ALIAS dmcached_metadata_test_support)
target_link_libraries(dmcached_metadata_test_support
  PUBLIC dmcached::test_support
  PRIVATE dmcached::warnings)
