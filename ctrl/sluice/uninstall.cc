// `uninstall`: nothing of Sluice is left in the kernel.
#include "ctrl/base/output.h"
#include "ctrl/datapath/bpf_datapath.h"
#include "ctrl/sluice/verb.h"

namespace sluice::client {
namespace {

StatusOr<ExitCode> UninstallAll(const std::string& bpf_root) {
  SL_RETURN_IF_ERROR(datapath::Uninstall(bpf_root));
  SL_RETURN_IF_ERROR(WriteOut(fmt::format("{}: detached and unpinned everything\n", bpf_root)));
  return ExitCode::kDone;
}

}  // namespace

void AddUninstall(CLI::App& app, CommandLine& line) {
  const auto bpf_root = std::make_shared<std::string>(datapath::BpfDatapathOptions().bpf_root);
  CLI::App* verb = app.add_subcommand("uninstall", "detach and unpin everything; the agent must have been stopped");
  verb->add_option("--bpf-root", *bpf_root, "where the agent pinned maps and links")->capture_default_str();
  verb->callback([&line, bpf_root] { line.run = [bpf_root] { return UninstallAll(*bpf_root); }; });
}

}  // namespace sluice::client
