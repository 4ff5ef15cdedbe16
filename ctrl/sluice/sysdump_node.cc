#include "ctrl/sluice/sysdump_node.h"

#include <filesystem>

namespace sluice::client {
namespace {

struct Command {
  const char* file;
  std::vector<std::string> arguments;
};

const std::vector<Command>& Commands() {
  static const std::vector<Command> commands = {
      {"kernel.txt", {"uname", "-a"}},
      {"os-release.txt", {"cat", "/etc/os-release"}},
      {"kernel-features.json", {"bpftool", "-j", "feature", "probe", "kernel"}},
      {"bpf-programs.json", {"bpftool", "-j", "prog", "show"}},
      {"bpf-maps.json", {"bpftool", "-j", "map", "show"}},
      {"bpf-links.json", {"bpftool", "-j", "link", "show"}},
      {"bpf-net.json", {"bpftool", "-j", "net", "show"}},
      {"interfaces.json", {"ip", "-json", "-details", "-statistics", "link", "show"}},
      {"addresses.json", {"ip", "-json", "address", "show"}},
      {"routes4.json", {"ip", "-json", "-4", "route", "show", "table", "all"}},
      {"routes6.json", {"ip", "-json", "-6", "route", "show", "table", "all"}},
      {"rules.json", {"ip", "-json", "rule", "show"}},
      {"neighbours.json", {"ip", "-json", "neighbour", "show"}},
      {"namespaces.txt", {"ip", "netns", "list-id"}},
      {"sysctl.txt",
       {"sysctl", "--ignore", "kernel.unprivileged_bpf_disabled", "net.core.bpf_jit_enable", "net.core.bpf_jit_limit",
        "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.ipv4.conf.all.rp_filter",
        "net.bridge.bridge-nf-call-iptables"}},
  };
  return commands;
}

// Names only: a map may have millions of entries.
std::string Pins(const std::string& root) {
  std::string text;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator at(root, error), end; !error && at != end; at.increment(error)) {
    text += at->path().string() + "\n";
  }
  return text;
}

}  // namespace

void DumpNode(const NodeFacts& facts, DumpDirectory& dump) {
  dump.Run("metrics.txt", {"curl", "--silent", "--show-error", "--fail", "--max-time", "10", "--noproxy", "*",
                           "http://" + facts.metrics + "/metrics"});
  if (!dump.Run("agent.log", {"journalctl", "--quiet", "--no-pager", "--output=short-iso-precise", "--lines=5000",
                              "--unit=" + facts.unit})) {
    dump.Note("agent.log", MakeError(absl::StatusCode::kNotFound, "the journal has no lines of {}", facts.unit));
  }
  for (const Command& command : Commands()) dump.Run(command.file, command.arguments);
  const std::string pins = Pins(facts.bpf_root);
  dump.Write("pins.txt", pins);
  if (pins.empty()) {
    dump.Note("pins.txt", MakeError(absl::StatusCode::kNotFound, "{}: nothing is pinned there, or it may not be read",
                                    facts.bpf_root));
  }
}

}  // namespace sluice::client
