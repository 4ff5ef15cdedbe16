// A BPF object file as bytes of this program: PERF_EMBEDDED_OBJECT(rate) defines perf_rate_object(). Use it once for
// each object, in a source file whose build sets SLUICE_PERF_OBJECT to the object's path.
#pragma once

#include <cstddef>
#include <string_view>

#define PERF_EMBEDDED_OBJECT(name)                                                                                   \
  __asm__(                                                                                                           \
      ".section .rodata\n"                                                                                           \
      ".balign 8\n"                                                                                                  \
      "perf_" #name "_elf: .incbin \"" SLUICE_PERF_OBJECT                                                            \
      "\"\n"                                                                                                         \
      "perf_" #name                                                                                                  \
      "_elf_end:\n"                                                                                                  \
      ".previous\n");                                                                                                \
  extern "C" const char perf_##name##_elf[], perf_##name##_elf_end[];                                                \
  static std::string_view perf_##name##_object() {                                                                   \
    return std::string_view(perf_##name##_elf, static_cast<std::size_t>(perf_##name##_elf_end - perf_##name##_elf)); \
  }
