// `replay`: shows what policies would have done to recorded traffic, and which detection rules recorded events meet.
// Needs no agent and no rights.
#include "ctrl/replay/report.h"
#include "ctrl/sluice/rules_test_run.h"
#include "ctrl/sluice/verb.h"

namespace sluice::client {
namespace {

struct ReplayOptions {
  std::string capture;
  std::string resources;
  std::string output = "table";
  RulesTest rules;
};

StatusOr<ExitCode> Replay(const ReplayOptions& options) {
  const bool of_events = !options.rules.events.empty();
  if (of_events == !options.capture.empty()) return InvalidError("replay: give either --pcap or --events");
  if (of_events) {
    if (options.rules.files.empty()) return InvalidError("replay --events needs --rules FILE...");
    if (!options.resources.empty()) return InvalidError("--resources: give it with --pcap");
    return TestRules(options.rules);
  }
  if (options.resources.empty()) return InvalidError("replay --pcap needs --resources DIR");
  if (!options.rules.files.empty()) return InvalidError("--rules: give them with --events");
  SL_RETURN_IF_ERROR(InFiles(replay::RunReplay(options.capture, options.resources, options.output)));
  return ExitCode::kDone;
}

}  // namespace

void AddReplay(CLI::App& app, CommandLine& line) {
  const auto options = std::make_shared<ReplayOptions>();
  CLI::App* verb = app.add_subcommand(
      "replay", "evaluate a capture, or recorded events, offline: without an agent and without rights");
  verb->add_option("--pcap", options->capture, "pcap or pcapng file");
  verb->add_option("--resources", options->resources, "with --pcap: directory of resource files");
  verb->add_option("-o,--output", options->output, "of --pcap: table or json (one flow event a line)")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  verb->add_option("--events", options->rules.events, "file of events, as `sluice record` writes them");
  verb->add_option("--rules", options->rules.files,
                   "with --events: rules files, in the order in which they build on each other");
  verb->add_flag("--all", options->rules.all, "with --events: all rules that an event meets, not only the first");
  verb->callback([&line, options] { line.run = [options] { return Replay(*options); }; });
}

}  // namespace sluice::client
