// `uninstall`: nothing of Sluice is left in the kernel and on disk.
#include "base/output.h"
#include "ctrl/api/listener.h"
#include "ctrl/reconcile/state_store.h"
#include "ctrl/sluice/verb.h"
#include "kernel/datapath/bpf_datapath.h"
#include "kernel/datapath/root.h"

namespace sluice::client {
namespace {

struct UninstallOptions {
  std::string bpf_root = datapath::BpfDatapathOptions().bpf_root;
  std::string state_dir = reconcile::StateStore::kDefaultDirectory;
};

StatusOr<ExitCode> UninstallAll(const AgentAddress& server, const UninstallOptions& options) {
  SL_RETURN_IF_ERROR(datapath::Uninstall(options.bpf_root));
  SL_RETURN_IF_ERROR(reconcile::StateStore::Remove(options.state_dir));
  SL_RETURN_IF_ERROR(api::Listener::RemoveStale(server.address));
  SL_RETURN_IF_ERROR(WriteOut(fmt::format("{}: detached and unpinned everything\n{}: removed what was applied\n",
                                          options.bpf_root, options.state_dir)));
  return ExitCode::kDone;
}

}  // namespace

void AddUninstall(CLI::App& app, CommandLine& line) {
  const auto options = std::make_shared<UninstallOptions>();
  CLI::App* verb = app.add_subcommand(
      "uninstall", "detach and unpin everything and remove the state; the agent must have been stopped");
  verb->add_option("--bpf-root", options->bpf_root, "where the agent pinned maps and links")->capture_default_str();
  verb->add_option("--state-dir", options->state_dir, "where the agent kept what was applied")->capture_default_str();
  verb->callback([&line, options] { line.run = [&line, options] { return UninstallAll(line.server, *options); }; });
}

}  // namespace sluice::client
