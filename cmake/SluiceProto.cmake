# sluice_proto(NAME PROTO...): a library of the messages and stubs of PROTO..., paths in the source tree. Includes name the
# same path with .pb.h or .grpc.pb.h. Generated code keeps its own warnings to itself.
function(sluice_proto name)
  set(out ${CMAKE_BINARY_DIR}/proto)
  file(MAKE_DIRECTORY ${out})
  set(sources)
  foreach(proto IN LISTS ARGN)
    string(REGEX REPLACE "\\.proto$" "" stem ${out}/${proto})
    add_custom_command(
      OUTPUT ${stem}.pb.cc ${stem}.pb.h ${stem}.grpc.pb.cc ${stem}.grpc.pb.h
      COMMAND protobuf::protoc --cpp_out=${out} --grpc_out=${out}
              --plugin=protoc-gen-grpc=${GRPC_CPP_PLUGIN} -I${CMAKE_SOURCE_DIR} ${proto}
      DEPENDS ${CMAKE_SOURCE_DIR}/${proto}
      COMMENT "protoc ${proto}"
      VERBATIM)
    list(APPEND sources ${stem}.pb.cc ${stem}.grpc.pb.cc)
  endforeach()
  add_library(${name} STATIC ${sources})
  target_include_directories(${name} SYSTEM PUBLIC ${out})
  target_link_libraries(${name} PUBLIC gRPC::grpc++ protobuf::libprotobuf)
  target_compile_options(${name} PRIVATE -w)
  if(SLUICE_SANITIZE)
    target_compile_options(${name} PRIVATE -fsanitize=${SLUICE_SANITIZE})
  endif()
endfunction()
