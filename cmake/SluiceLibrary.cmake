# One static library for each directory, so that the link lines enforce the allowed dependencies.

add_library(sluice_flags INTERFACE)
target_include_directories(sluice_flags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
target_compile_options(sluice_flags INTERFACE -Wall -Wextra -Werror -Wno-missing-field-initializers)
if(SLUICE_SANITIZE)
  target_compile_options(sluice_flags INTERFACE -fsanitize=${SLUICE_SANITIZE} -fno-omit-frame-pointer
                                                -fno-sanitize-recover=all)
  target_link_options(sluice_flags INTERFACE -fsanitize=${SLUICE_SANITIZE})
endif()

# sluice_compile_together(NAME [BY_DIRECTORY]): compiles several files of the target as one, because most of the time is
# spent on included headers. So no two files of a directory may define the same name, not even in unnamed namespaces.
# BY_DIRECTORY: all files of a directory and no others, for a target that has several directories.
function(sluice_compile_together name)
  set_target_properties(${name} PROPERTIES UNITY_BUILD ${SLUICE_UNITY} UNITY_BUILD_BATCH_SIZE 9)
  if("BY_DIRECTORY" IN_LIST ARGN)
    set_target_properties(${name} PROPERTIES UNITY_BUILD_MODE GROUP)
    get_target_property(sources ${name} SOURCES)
    foreach(source ${sources})
      cmake_path(GET source PARENT_PATH directory)
      cmake_path(GET directory FILENAME group)
      set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${group})
    endforeach()
  endif()
  if(SLUICE_UNITY AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${name} PRIVATE -Wno-subobject-linkage)  # GCC takes the included files for headers
  endif()
endfunction()

# sluice_library(NAME DEPS...): every .cc of the current directory.
function(sluice_library name)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  if(sources)
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PUBLIC sluice_flags ${ARGN})
    sluice_compile_together(${name})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE sluice_flags ${ARGN})
  endif()
endfunction()

# sluice_optimise_sanitized(NAME): compiles the target with -O1 for sanitizers, too, where everything else is not optimised.
function(sluice_optimise_sanitized name)
  if(SLUICE_SANITIZE)
    target_compile_options(${name} PRIVATE -O1)
  endif()
endfunction()

# sluice_test(NAME LABEL DIR DEPS... [VM] [ALONE]): one GoogleTest program from all *_test.cc of DIR, registered with
# ctest. LABEL bpf: needs root and BPF; LABEL unit: needs nothing. VM: scripts/test-vm runs it on other kernels too.
# ALONE: ctest runs no other test at the same time.
function(sluice_test name label dir)
  cmake_parse_arguments(PARSE_ARGV 3 test "VM;ALONE" "" "")
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${dir}/*_test.cc)
  if(NOT sources)
    return()
  endif()
  set(labels ${label})
  if(test_VM)
    list(APPEND labels vm)
  endif()
  add_executable(${name} ${sources})
  target_link_libraries(${name} PRIVATE sluice_flags ${test_UNPARSED_ARGUMENTS}
                                        GTest::gtest GTest::gmock GTest::gmock_main)
  sluice_compile_together(${name})
  target_compile_options(${name} PRIVATE -O0)  # what is tested is optimised; the tests themselves are built fast
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${labels}" TIMEOUT 1800
    # Brief: passed cases are not printed, so that failures are easy to find.
    ENVIRONMENT "SLUICE_SOURCE_DIR=${CMAKE_SOURCE_DIR};SLUICE_BIN_DIR=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};GTEST_BRIEF=1")
  set_tests_properties(${name} PROPERTIES RUN_SERIAL ${test_ALONE})
endfunction()

# sluice_test_part(NAME PART FILTER): makes the selected cases of a sluice_test a separate test, PART, which may run at the
# same time as the others. VM as above.
function(sluice_test_part name part filter)
  get_test_property(${name} LABELS labels)
  if("VM" IN_LIST ARGN)
    list(APPEND labels vm)
  endif()
  get_test_property(${name} ENVIRONMENT environment)
  list(FILTER environment EXCLUDE REGEX "^GTEST_FILTER=")
  add_test(NAME ${part} COMMAND ${name})
  set_tests_properties(${part} PROPERTIES LABELS "${labels}" TIMEOUT 1500
    ENVIRONMENT "${environment};GTEST_FILTER=${filter}")
  get_target_property(parts ${name} SLUICE_PARTS)
  if(parts)
    string(PREPEND filter "${parts}:")
  endif()
  set_target_properties(${name} PROPERTIES SLUICE_PARTS "${filter}")
  set_tests_properties(${name} PROPERTIES ENVIRONMENT "${environment};GTEST_FILTER=-${filter}")
endfunction()
