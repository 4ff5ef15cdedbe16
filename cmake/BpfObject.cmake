# sluice_bpf_object(NAME SOURCE): SOURCE.bpf.c -> NAME.bpf.o -> NAME.skel.h in ${CMAKE_BINARY_DIR}/skel.
# The depfile rebuilds the object when a header changes.
set(SLUICE_SKEL_DIR ${CMAKE_BINARY_DIR}/skel)
file(MAKE_DIRECTORY ${SLUICE_SKEL_DIR})
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  set(SLUICE_BPF_ARCH arm64)
else()
  set(SLUICE_BPF_ARCH x86)
endif()

function(sluice_bpf_object name source)
  set(object ${SLUICE_SKEL_DIR}/${name}.bpf.o)
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${BPF_CLANG} -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror -Wno-unused-parameter
            -D__TARGET_ARCH_${SLUICE_BPF_ARCH}
            -I${CMAKE_SOURCE_DIR} -idirafter /usr/include/${CMAKE_LIBRARY_ARCHITECTURE}
            -MD -MF ${object}.d -MT ${object} -c ${source} -o ${object}
    DEPENDS ${source}
    DEPFILE ${object}.d
    COMMENT "BPF ${name}"
    VERBATIM)
  add_custom_command(
    OUTPUT ${SLUICE_SKEL_DIR}/${name}.skel.h
    COMMAND ${BPFTOOL} gen skeleton ${object} name ${name} > ${SLUICE_SKEL_DIR}/${name}.skel.h
    DEPENDS ${object}
    VERBATIM)
  set_property(GLOBAL APPEND PROPERTY SLUICE_SKELETONS ${SLUICE_SKEL_DIR}/${name}.skel.h)
endfunction()
