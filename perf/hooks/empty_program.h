// A program that does nothing, where the programs of hook policies run: the floor of their cost.
#pragma once

#include <string>
#include <string_view>

#include "base/fd.h"
#include "kernel/bpf/testing/program_set.h"

namespace sluice::perf {

class EmptyProgram {
 public:
  static StatusOr<EmptyProgram> Load();

  // Attached as the system call's hooks are: by the tracepoint of all system calls, or by a kprobe. Until the
  // descriptor is closed.
  StatusOr<Fd> AttachToCall(std::string_view name, bool by_tracepoint) const;
  // By a kprobe; likewise.
  StatusOr<Fd> AttachToFunction(std::string_view name) const;

 private:
  explicit EmptyProgram(bpf::ProgramSet programs) : programs_(std::move(programs)) {}
  bpf::ProgramSet programs_;
};

}  // namespace sluice::perf
