# Takes the header folders below a prefix out of what a target tells its consumers. Only headers of Python and numpy are
# ever meant, which whoever compiles against them finds for itself.
function(satllm_drop_includes target prefix)
  get_target_property(includes ${target} INTERFACE_INCLUDE_DIRECTORIES)
  if(NOT includes)
    return()
  endif()
  set(kept)
  foreach(include IN LISTS includes)
    string(FIND "${include}" "${prefix}" position)
    if(NOT position EQUAL 0)
      list(APPEND kept "${include}")
    endif()
  endforeach()
  set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${kept}")
endfunction()

# The ROS wheels on PyPI export folders of the host they were built on (/opt/python/cp311-cp311/include/...), and CMake
# refuses to configure when an imported target names a folder that does not exist. ROS distributions export no such folder.
function(satllm_drop_foreign_includes)
  get_property(imported DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS imported)
    satllm_drop_includes(${target} /opt/python/)
  endforeach()
endfunction()

# With a virtual environment inside the checkout, our own generated target would export numpy's headers in there, and CMake
# refuses to export folders of the source tree.
function(satllm_drop_own_includes)
  if(TARGET ${PROJECT_NAME}__rosidl_generator_py)
    satllm_drop_includes(${PROJECT_NAME}__rosidl_generator_py ${CMAKE_CURRENT_SOURCE_DIR}/)
  endif()
endfunction()
