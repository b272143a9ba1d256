# Warnings and sanitizers for our own translation units; nothing here reaches a consumer.
add_library(routesig_warnings INTERFACE)
target_compile_options(routesig_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wconversion;-Wsign-conversion;-Wshadow;-Wnon-virtual-dtor;-Woverloaded-virtual>
  # GCC 12 takes its own AVX-512 intrinsics, inlined into Eigen and Torch, for uninitialised reads.
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-uninitialized;-Wno-maybe-uninitialized>
  $<$<AND:$<BOOL:${ROUTESIG_WARNINGS_AS_ERRORS}>,$<COMPILE_LANGUAGE:CXX>>:-Werror>)
if(ROUTESIG_SANITIZE)
  target_compile_options(routesig_warnings INTERFACE
    -fsanitize=${ROUTESIG_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(routesig_warnings INTERFACE -fsanitize=${ROUTESIG_SANITIZE})
endif()

# Gives a target of ours the warnings, hidden symbols and position-independent code.
function(routesig_target target)
  set_target_properties(${target} PROPERTIES
    POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON CXX_EXTENSIONS OFF)
  target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:routesig_warnings>)
endfunction()
