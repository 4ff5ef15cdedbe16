// Programs and maps of a BPF object other than the packet path: the benchmarks' baselines, generators and peers. Owns
// all descriptors; pins nothing, and attaches only on request.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/status.h"

struct bpf_object;

namespace sluice::bpf {

class ProgramSet {
 public:
  // `elf` is the object file's bytes; `entries` has the sizes of maps that differ from the object. PermissionDenied
  // names the missing right.
  static StatusOr<ProgramSet> Load(const std::string& name, std::string_view elf,
                                   const std::map<std::string, std::uint32_t>& entries = {});

  int program_fd(const std::string& name) const;  // -1: no such program
  int map_fd(const std::string& name) const;      // -1: no such map
  // Attaches a program to the tracepoint in its section name (tp_btf/...), as long as the descriptor is open.
  StatusOr<Fd> AttachTracepoint(const std::string& name) const;

 private:
  struct Closer {
    void operator()(bpf_object* object) const;
  };
  explicit ProgramSet(bpf_object* object) : object_(object) {}

  std::unique_ptr<bpf_object, Closer> object_;
};

}  // namespace sluice::bpf
