#include "perf/rate/programs.h"

// The object file of perf/bpf/rate.bpf.c, as bytes of this program.
__asm__(
    ".section .rodata\n"
    ".balign 8\n"
    "perf_rate_elf: .incbin \"" SLUICE_PERF_OBJECT
    "\"\n"
    "perf_rate_elf_end:\n"
    ".previous\n");
extern "C" const char perf_rate_elf[], perf_rate_elf_end[];

namespace sluice::perf {

StatusOr<bpf::ProgramSet> LoadRatePrograms() {
  return bpf::ProgramSet::Load(
      "perf_rate", std::string_view(perf_rate_elf, static_cast<std::size_t>(perf_rate_elf_end - perf_rate_elf)));
}

}  // namespace sluice::perf
