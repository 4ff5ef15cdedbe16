// Programs and maps of a BPF object other than the packet path: the benchmarks' baselines, generators and competitors.
// Owns all descriptors. Pins nothing, and attaches only when asked to.
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
  // `elf`: the bytes of the object file. `entries`: map names with sizes that replace the object's. PermissionDenied
  // names the missing capabilities.
  static StatusOr<ProgramSet> Load(const std::string& name, std::string_view elf,
                                   const std::map<std::string, std::uint32_t>& entries = {});

  int program_fd(const std::string& name) const;  // -1: no such program
  int map_fd(const std::string& name) const;      // -1: no such map
  // Attaches a program with a tracepoint in its section name (tp_btf/...). It stays attached until the descriptor is
  // closed.
  StatusOr<Fd> AttachTracepoint(const std::string& name) const;
  // Attaches a kprobe program to the beginning of a kernel function; likewise. NotFound: there is no such function.
  StatusOr<Fd> AttachFunction(const std::string& name, std::string_view function) const;

 private:
  struct Closer {
    void operator()(bpf_object* object) const;
  };
  explicit ProgramSet(bpf_object* object) : object_(object) {}

  std::unique_ptr<bpf_object, Closer> object_;
};

}  // namespace sluice::bpf
