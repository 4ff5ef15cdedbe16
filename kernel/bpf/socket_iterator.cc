#include "kernel/bpf/socket_iterator.h"

#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string>

#include "base/fd.h"
#include "kernel/bpf/iterator.h"
#include "kernel/bpf/link.h"

namespace sluice::bpf {
namespace {

namespace fs = std::filesystem;

class Namespaces {
 public:
  // Ignores what cannot be opened: it has gone.
  void Open(const std::string& path) {
    struct stat facts {};
    if (stat(path.c_str(), &facts) != 0 || known_.contains(facts.st_ino)) return;
    Fd netns(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (netns.valid() && fstat(netns.get(), &facts) == 0 && known_.insert(facts.st_ino).second)
      found.push_back(std::move(netns));
  }

  std::vector<Fd> found;

 private:
  std::set<ino_t> known_;
};

bool IsNumber(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

// Those that a process's mounts name, as `ip netns add` and container runtimes make them.
void OpenMounted(const std::string& process, Namespaces* namespaces) {
  const std::string root_of_process = "/proc/" + process + "/root";
  std::ifstream mounts("/proc/" + process + "/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string id, parent, device, root, path;
    if (words >> id >> parent >> device >> root >> path && root.starts_with("net:["))
      namespaces->Open(root_of_process + path);
  }
}

}  // namespace

StatusOr<std::vector<Fd>> OpenNamespaces() {
  Namespaces namespaces;
  std::error_code error;
  for (const auto& process : fs::directory_iterator("/proc", error)) {
    const std::string name = process.path().filename();
    if (IsNumber(name)) namespaces.Open("/proc/" + name + "/ns/net");
  }
  if (error) return ErrnoError(error.value(), "list /proc");
  for (const char* const process : {"self", "1"}) OpenMounted(process, &namespaces);
  return std::move(namespaces.found);
}

Status IterateSockets(const bpf_program* program, const AdminCalls& calls, std::span<const int> netns_fds,
                      const std::function<void(std::string_view)>& consume) {
  const std::unique_ptr<bpf_link, int (*)(bpf_link*)> link(bpf_program__attach_iter(program, nullptr),
                                                           bpf_link__destroy);
  if (!link) return ErrnoError(errno, "create the iterator {}", bpf_program__name(program));
  const std::uint32_t id = IdOfLink(bpf_link__fd(link.get()));
  for (const int netns_fd : netns_fds) {
    SL_ASSIGN_OR_RETURN(const Fd iterator, calls.OpenIterator(id, netns_fd));
    SL_RETURN_IF_ERROR(Annotate(ReadIterator(iterator.get(), consume), bpf_program__name(program)));
  }
  return OkStatus();
}

}  // namespace sluice::bpf
