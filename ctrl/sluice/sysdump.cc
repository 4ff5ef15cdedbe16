// `sysdump`: makes one archive with all that a bug report needs, and no secrets.
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include "base/output.h"
#include "base/printable.h"
#include "ctrl/sluice/sysdump_agent.h"
#include "ctrl/sluice/sysdump_node.h"
#include "ctrl/sluice/verb.h"

namespace sluice::client {
namespace {

struct SysdumpOptions {
  std::string archive;
  NodeFacts node;
};

StatusOr<ExitCode> Sysdump(const AgentAddress& server, const SysdumpOptions& options) {
  const std::string name = absl::FormatTime("sluice-sysdump-%Y%m%dT%H%M%SZ", absl::Now(), absl::UTCTimeZone());
  const std::string archive = options.archive.empty() ? name + ".tar.gz" : options.archive;
  SL_ASSIGN_OR_RETURN(DumpDirectory dump, DumpDirectory::Create(name));
  Client client(server);
  const auto status = DumpAgent(client, dump);
  NodeFacts node = options.node;
  if (status.ok() && !status->bpf_root().empty()) node.bpf_root = status->bpf_root();
  DumpNode(node, dump);
  SL_RETURN_IF_ERROR(dump.Pack(archive));
  if (!dump.errors().empty()) Tell("errors.txt in the archive lists what could not be collected");
  SL_RETURN_IF_ERROR(
      WriteOut(fmt::format("{}: {} files; check them before you pass them on\n", Printable(archive), dump.files())));
  return ExitCode::kDone;
}

}  // namespace

void AddSysdump(CLI::App& app, CommandLine& line) {
  const auto options = std::make_shared<SysdumpOptions>();
  CLI::App* verb = app.add_subcommand(
      "sysdump",
      "make one archive (.tar.gz) for a bug report: versions, status, resources, rulesets, identities, flows, events, "
      "metrics, the agent's log, kernel features, programs, maps, interfaces and routes. Without arguments of "
      "processes, environments, annotations and keys. Its errors.txt lists what could not be collected, such as the "
      "agent's part if no agent answers");
  verb->add_option("-o,--output", options->archive,
                   "file to write; default: sluice-sysdump-TIME.tar.gz in this directory");
  verb->add_option("--metrics", options->node.metrics, "where the agent serves /metrics")->capture_default_str();
  verb->add_option("--unit", options->node.unit, "the agent's unit of systemd, for its log")->capture_default_str();
  verb->callback([&line, options] { line.run = [&line, options] { return Sysdump(line.server, *options); }; });
}

}  // namespace sluice::client
