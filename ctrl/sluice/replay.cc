// `replay`: shows what policies would have done to recorded traffic. Needs no agent and no rights.
#include "ctrl/replay/report.h"
#include "ctrl/sluice/verb.h"

namespace sluice::client {
namespace {

struct ReplayOptions {
  std::string capture;
  std::string resources;
  std::string output = "table";
};

StatusOr<ExitCode> ReplayCapture(const ReplayOptions& options) {
  SL_RETURN_IF_ERROR(InFiles(replay::RunReplay(options.capture, options.resources, options.output)));
  return ExitCode::kDone;
}

}  // namespace

void AddReplay(CLI::App& app, CommandLine& line) {
  const auto options = std::make_shared<ReplayOptions>();
  CLI::App* verb = app.add_subcommand("replay", "evaluate a capture offline, without an agent and without rights");
  verb->add_option("--pcap", options->capture, "pcap or pcapng file")->required();
  verb->add_option("--resources", options->resources, "directory of resource files")->required();
  verb->add_option("-o,--output", options->output, "table or json (one flow event a line)")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  verb->callback([&line, options] { line.run = [options] { return ReplayCapture(*options); }; });
}

}  // namespace sluice::client
