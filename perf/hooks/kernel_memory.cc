#include "perf/hooks/kernel_memory.h"

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

#include "base/fd.h"
#include "kernel/bpf/admin_calls.h"

namespace sluice::perf {
namespace {

// What /proc/self/fdinfo says of a descriptor; without any of these it is none of BPF.
struct Facts {
  std::optional<std::uint32_t> map, program, link;
  std::optional<double> memory;
};

Facts FactsOf(int fd) {
  std::ifstream info(fmt::format("/proc/self/fdinfo/{}", fd));
  Facts facts;
  std::uint32_t id = 0;
  double bytes = 0;
  for (std::string word; info >> word;) {
    if (word == "map_id:" && info >> id) facts.map = id;
    if (word == "prog_id:" && info >> id) facts.program = id;
    if (word == "link_id:" && info >> id) facts.link = id;
    if (word == "memlock:" && info >> bytes) facts.memory = bytes;
  }
  return facts;
}

StatusOr<double> MachineCodeBytes(int program) {
  bpf_prog_info info{};
  union bpf_attr attr {};
  attr.info.bpf_fd = static_cast<__u32>(program);
  attr.info.info = reinterpret_cast<__u64>(&info);
  attr.info.info_len = sizeof(info);
  if (syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr)) != 0)
    return ErrnoError(errno, "read a program's info");
  return static_cast<double>(info.jited_prog_len);
}

class Sum {
 public:
  Status Add(int fd) {
    const Facts facts = FactsOf(fd);
    if (facts.link && facts.program && !programs_.contains(*facts.program)) {
      SL_ASSIGN_OR_RETURN(const Fd program, bpf::OwnAdminCalls().OpenProgram(*facts.program));
      return Add(program.get());
    }
    if (facts.link) return OkStatus();
    if (facts.map) {
      if (!facts.memory) return Unknown("map", *facts.map);
      maps_[*facts.map] = *facts.memory;
    } else if (facts.program) {
      if (!facts.memory) return Unknown("program", *facts.program);
      SL_ASSIGN_OR_RETURN(const double code, MachineCodeBytes(fd));
      programs_[*facts.program] = *facts.memory + code;
    }
    return OkStatus();
  }

  double bytes() const {
    double sum = 0;
    for (const auto* const objects : {&maps_, &programs_})
      for (const auto& [id, bytes] : *objects) sum += bytes;
    return sum;
  }

 private:
  static Status Unknown(const char* what, std::uint32_t id) {
    return MakeError(absl::StatusCode::kInternal, "the kernel does not say how much memory the {} {} has", what, id);
  }
  std::map<std::uint32_t, double> maps_, programs_;  // by number
};

}  // namespace

StatusOr<double> BpfBytes() {
  Sum sum;
  std::error_code error;
  std::vector<int> fds;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error))
    fds.push_back(std::stoi(entry.path().filename().string()));
  if (error) return ErrnoError(error.value(), "list the descriptors of this process");
  for (const int fd : fds) SL_RETURN_IF_ERROR(sum.Add(fd));
  return sum.bytes();
}

}  // namespace sluice::perf
