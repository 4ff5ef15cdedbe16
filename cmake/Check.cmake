# `cmake --build BUILD -t check`: format and lint.
add_custom_target(check COMMAND ${CMAKE_SOURCE_DIR}/scripts/check ${CMAKE_BINARY_DIR} USES_TERMINAL VERBATIM)
