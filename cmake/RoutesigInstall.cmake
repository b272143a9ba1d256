# Installs the C++ side and describes it to find_package(routesig).
#
# Two install components: `devel` (headers, static libraries, CMake package) here, and `python` (the
# modules) in bindings/. The wheel takes both into its `routesig` folder, so every path below is relative to the prefix.
# One export set a component, so that a consumer needs only the dependencies of what it asks for.
include(CMakePackageConfigHelpers)
set(routesig_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/routesig")

function(routesig_export component)
  install(TARGETS routesig_${component} EXPORT routesig_${component}
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT devel
    FILE_SET public_headers DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT devel)
  install(EXPORT routesig_${component} FILE routesig-${component}-targets.cmake NAMESPACE routesig::
    DESTINATION "${routesig_package_dir}" COMPONENT devel)
endfunction()

routesig_export(core)
routesig_export(analysis)
routesig_export(io)
if(TARGET routesig_model)
  routesig_export(model)
  install(FILES "${PROJECT_SOURCE_DIR}/cmake/RoutesigTorch.cmake"
    DESTINATION "${routesig_package_dir}" COMPONENT devel)
endif()

configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/routesig-config.cmake.in"
  "${PROJECT_BINARY_DIR}/routesig-config.cmake" INSTALL_DESTINATION "${routesig_package_dir}"
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/routesig-config-version.cmake" COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/routesig-config.cmake"
  "${PROJECT_BINARY_DIR}/routesig-config-version.cmake"
  DESTINATION "${routesig_package_dir}" COMPONENT devel)

# Everything the wheel carries, and no test: what scikit-build-core is told to build.
add_custom_target(routesig_package)
foreach(target IN ITEMS routesig_analysis routesig_io routesig_model _core _torch)
  if(TARGET ${target})
    add_dependencies(routesig_package ${target})
  endif()
endforeach()
