// `quarantine`: cuts a workload off in the kernel at once, or releases it.
#include "base/output.h"
#include "base/printable.h"
#include "ctrl/sluice/client.h"
#include "ctrl/sluice/verb.h"

namespace sluice::client {
namespace {

struct QuarantineOptions {
  std::string workload;
  bool release = false;
};

StatusOr<ExitCode> Quarantine(const AgentAddress& server, const QuarantineOptions& options) {
  const std::string& text = options.workload;
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == text.size() ||
      text.find('/', slash + 1) != std::string::npos) {
    return InvalidError("quarantine {}: expected namespace/name of a workload", text);
  }
  v1::QuarantineRequest request;
  request.set_namespace_(text.substr(0, slash));
  request.set_name(text.substr(slash + 1));
  request.set_release(options.release);
  SL_ASSIGN_OR_RETURN(const v1::QuarantineReply reply, Client(server).Quarantine(request));
  SL_RETURN_IF_ERROR(WriteOut(fmt::format("Workload {} {}\npolicy revision {}\n", text,
                                          options.release ? "released" : "quarantined", reply.revision())));
  if (!reply.unsaved().empty()) {
    SL_RETURN_IF_ERROR(WriteOut("it is in force, but would not outlive a boot: " + Printable(reply.unsaved()) + "\n"));
  }
  return ExitCode::kDone;
}

}  // namespace

void AddQuarantine(CLI::App& app, CommandLine& line) {
  const auto options = std::make_shared<QuarantineOptions>();
  CLI::App* verb = app.add_subcommand("quarantine",
                                      "cut a workload off in both directions, established flows too, except for the "
                                      "peers of sluiced's --quarantine-allow");
  verb->add_option("workload", options->workload, "namespace/name")->required();
  verb->add_flag("--release", options->release, "end the quarantine, whoever began it");
  verb->callback([&line, options] { line.run = [&line, options] { return Quarantine(line.server, *options); }; });
}

}  // namespace sluice::client
