# What `cmake --install` puts where, in two components.
#   runtime      the daemon and dmcachectl
#   development  the client library, its headers, the protos, the messages and stubs made from them, and a package for CMake:
#                find_package(dmcached 0.1 REQUIRED) gives dmcached::client and, for those who want the rpcs themselves,
#                dmcached::proto (tests/package is such a consumer)
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/dmcached)

install(TARGETS dmcached RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR} COMPONENT runtime)
install(TARGETS dmcachectl RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime)

install(TARGETS dmcached_client dmcached_proto EXPORT dmcached
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY client/include/dmcached DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development
  FILES_MATCHING PATTERN "*.h")
# The health service's proto is gRPC's own: a header of it in grpc/ would be in the way of gRPC's.
install(DIRECTORY ${PROJECT_BINARY_DIR}/proto/dmcached DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development
  FILES_MATCHING PATTERN "*.pb.h")
install(DIRECTORY proto/dmcached DESTINATION ${CMAKE_INSTALL_DATADIR}/dmcached/proto COMPONENT development
  FILES_MATCHING PATTERN "*.proto")

install(EXPORT dmcached NAMESPACE dmcached:: FILE dmcached-targets.cmake
  DESTINATION ${package_folder} COMPONENT development)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/dmcached-config.cmake.in
  ${PROJECT_BINARY_DIR}/dmcached-config.cmake INSTALL_DESTINATION ${package_folder})
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/dmcached-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/dmcached-config.cmake ${PROJECT_BINARY_DIR}/dmcached-config-version.cmake
  DESTINATION ${package_folder} COMPONENT development)
