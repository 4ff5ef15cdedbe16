// `uninstall`: leaves nothing of Sluice in the kernel and on disk. `sluiced --uninstall` does it; this finds the
// directories.
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "ctrl/sluice/verb.h"

namespace sluice::client {
namespace {

struct UninstallOptions {
  std::string bpf_root;
  std::string state_dir;
};

// The agent's program beside this one, or else in PATH.
std::string AgentProgram() {
  std::error_code error;
  const std::filesystem::path beside = std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "sluiced";
  return !error && std::filesystem::exists(beside, error) ? beside.string() : "sluiced";
}

// If both directories are given, the agent's program checks whether they are in use. Else they must be known.
Status CheckDirectories(const AgentAddress& server, const UninstallOptions& options) {
  if (!options.bpf_root.empty() && !options.state_dir.empty()) return OkStatus();
  const auto status = Client(server).ReadStatus();
  if (status.ok()) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "an agent runs at {}; stop it (systemctl stop sluice), and then run: sluice uninstall --bpf-root "
                     "{} --state-dir {}",
                     server.address, status->bpf_root(), status->state_dir());
  }
  if (!absl::IsUnavailable(status.status())) return status.status();
  if (server.address == AgentAddress().address) return OkStatus();  // the default directories are its own
  return InvalidError(
      "no agent answers at {} to say which directories it uses: name them by --bpf-root and --state-dir",
      server.address);
}

StatusOr<ExitCode> UninstallAll(const AgentAddress& server, const UninstallOptions& options) {
  SL_RETURN_IF_ERROR(CheckDirectories(server, options));
  std::vector<std::string> arguments{AgentProgram(), "--uninstall", "--api", server.address};
  for (const auto& [name, value] : {std::pair{"--bpf-root", options.bpf_root}, {"--state-dir", options.state_dir}}) {
    if (!value.empty()) arguments.insert(arguments.end(), {name, value});
  }
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  execvp(argv.front(), argv.data());
  return ErrnoError(errno, "start {} --uninstall; is it installed beside sluice, or in a directory of PATH?",
                    arguments.front());
}

}  // namespace

void AddUninstall(CLI::App& app, CommandLine& line) {
  const auto options = std::make_shared<UninstallOptions>();
  CLI::App* verb = app.add_subcommand(
      "uninstall", "detach and unpin everything and remove the state; the agent must have been stopped");
  verb->add_option("--bpf-root", options->bpf_root, "where the agent pinned maps and links [/sys/fs/bpf/sluice]");
  verb->add_option("--state-dir", options->state_dir, "where the agent kept the applied resources [/var/lib/sluice]");
  verb->callback([&line, options] { line.run = [&line, options] { return UninstallAll(line.server, *options); }; });
}

}  // namespace sluice::client
