#include "kernel/bpf/testing/program_size.h"

#include <bpf/bpf.h>

#include <cerrno>

namespace sluice::bpf {

StatusOr<ProgramSize> ReadProgramSize(int program_fd) {
  bpf_prog_info info{};
  __u32 length = sizeof(info);
  if (bpf_obj_get_info_by_fd(program_fd, &info, &length) != 0) return ErrnoError(errno, "read a program's info");
  return ProgramSize{info.name, info.xlated_prog_len / 8, info.verified_insns};
}

}  // namespace sluice::bpf
