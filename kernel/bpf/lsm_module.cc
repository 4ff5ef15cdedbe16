#include "kernel/bpf/lsm_module.h"

#include <fstream>
#include <string>

namespace sluice::bpf {
namespace {

constexpr const char* kActiveModules = "/sys/kernel/security/lsm";  // of the Linux Security Modules

}  // namespace

Status RequireBpfModule() {
  std::ifstream file(kActiveModules);
  std::string modules;
  if (!std::getline(file, modules))
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "LSM hooks need to know whether bpf is one of the active security modules: mount securityfs, so "
                     "that {} can be read",
                     kActiveModules);
  if (("," + modules + ",").find(",bpf,") != std::string::npos) return OkStatus();
  return MakeError(absl::StatusCode::kFailedPrecondition,
                   "LSM hooks need bpf among the active security modules (kernel option lsm=): they are {}", modules);
}

}  // namespace sluice::bpf
