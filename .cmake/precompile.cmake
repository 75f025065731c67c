# Precompiles the big headers of others; what a build from nothing costs is mostly the reading of gRPC's headers.
#
# Included last by the top CMakeLists.txt when DMCACHED_PRECOMPILED_HEADERS is on; the daemon chooses its own headers.  Our
# headers are not among them, and sources go on including what they use: clang-tidy and a build without this option read
# them as they are.
set(standard_headers <algorithm> <atomic> <chrono> <cstdint> <functional> <map> <memory> <optional> <span> <string>
  <string_view> <utility> <vector>)
set(core_headers ${standard_headers} <absl/status/statusor.h> <absl/strings/str_cat.h> <absl/container/flat_hash_map.h>
  <absl/functional/any_invocable.h>)
set(rpc_headers ${core_headers} <grpcpp/grpcpp.h> <google/protobuf/message.h> <google/protobuf/repeated_field.h>
  <google/protobuf/generated_message_util.h>)

target_precompile_headers(dmcached_core PRIVATE ${core_headers})
target_precompile_headers(dmcached_proto PRIVATE ${rpc_headers})
target_precompile_headers(dmcached_client PRIVATE ${rpc_headers})
target_precompile_headers(dmcachectl_commands PRIVATE ${core_headers} <CLI/CLI.hpp> <nlohmann/json.hpp>)

# Gives the executables below `folder` the headers that the first of them precompiles.
function(dmcached_precompile_tests folder)
  get_property(subfolders DIRECTORY ${folder} PROPERTY SUBDIRECTORIES)
  foreach(subfolder ${subfolders})
    dmcached_precompile_tests(${subfolder})
  endforeach()
  get_property(targets DIRECTORY ${folder} PROPERTY BUILDSYSTEM_TARGETS)
  foreach(target ${targets})
    get_target_property(type ${target} TYPE)
    get_target_property(has_own_headers ${target} PRECOMPILE_HEADERS)
    if(type STREQUAL EXECUTABLE AND NOT has_own_headers)
      target_precompile_headers(${target} REUSE_FROM dmcached_test_headers)
    endif()
  endforeach()
endfunction()

if(DMCACHED_TESTS)
  file(CONFIGURE OUTPUT test_headers.cc CONTENT "// Only to precompile the headers of the tests.\n")
  add_library(dmcached_test_headers OBJECT ${CMAKE_CURRENT_BINARY_DIR}/test_headers.cc)
  target_link_libraries(dmcached_test_headers PRIVATE GTest::gmock GTest::gtest dmcached::warnings)
  target_compile_options(dmcached_test_headers PRIVATE $<$<CONFIG:Release>:-O1>)  # As tests/CMakeLists.txt.
  target_precompile_headers(dmcached_test_headers PRIVATE ${core_headers} <gmock/gmock.h> <gtest/gtest.h>)
  dmcached_precompile_tests(${CMAKE_CURRENT_SOURCE_DIR}/tests)
endif()
