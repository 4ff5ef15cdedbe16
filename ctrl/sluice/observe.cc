// `observe`: prints events, line by line.
#include <algorithm>
#include <thread>

#include "ctrl/sluice/client.h"
#include "ctrl/sluice/event_writer.h"
#include "ctrl/sluice/filter_options.h"
#include "ctrl/sluice/observe_request.h"
#include "ctrl/sluice/verb.h"

namespace sluice::client {
namespace {

using namespace std::chrono_literals;

// Between attempts to reach an agent that has gone: the first pause and the longest.
constexpr auto kFirstPause = 250ms;
constexpr auto kLongestPause = 5000ms;

// The agent has gone, or has ended the stream because it stops.
bool IsOfTheAgent(const Status& ended) {
  return ended.code() == absl::StatusCode::kUnavailable || ended.code() == absl::StatusCode::kAborted;
}

// Reads streams until one ends for another reason than that the agent has gone. Later streams have only new events, so
// that no event comes twice.
class Follower {
 public:
  Follower(const AgentAddress& server, v1::ObserveRequest request, EventWriter writer)
      : client_(server), is_relay_(server.is_relay), request_(std::move(request)), writer_(std::move(writer)) {}

  Status Run() {
    while (true) {
      Status ended = ReadStream();
      if (!was_there_ || !request_.follow() || !IsOfTheAgent(ended)) return ended;
      if (!std::exchange(gone_, true)) Tell(fmt::format("sluice: {}; trying again, until Ctrl-C", Message(ended)));
      request_.set_last(0);
      request_.clear_since();
      std::this_thread::sleep_for(
          std::exchange(pause_, std::min<std::chrono::milliseconds>(pause_ * 2, kLongestPause)));
    }
  }

 private:
  Status ReadStream() {
    const auto begun = [this](const StreamStart& start) { Begin(start); };
    if (!is_relay_) {
      return client_.Observe(
          request_, [this](const v1::Event& event) { return writer_.Write(event); }, begun);
    }
    return client_.ObserveCluster(
        request_,
        [this](const cluster::ClusterEvent& one) {
          return one.has_node_state() ? writer_.Write(one.node_state()) : writer_.Write(one.event());
        },
        begun);
  }

  void Begin(const StreamStart& start) {
    if (gone_) {
      Tell(fmt::format("sluice: {}{} is back; events from the time between are not shown",
                       is_relay_ ? "the relay " : "the agent of ", start.node));
    } else {
      for (const std::string& notice : start.notices) Tell("sluice: " + notice);
    }
    was_there_ = true;
    gone_ = false;
    pause_ = kFirstPause;
  }

  Client client_;
  const bool is_relay_;
  v1::ObserveRequest request_;
  EventWriter writer_;
  bool was_there_ = false;
  bool gone_ = false;
  std::chrono::milliseconds pause_ = kFirstPause;
};

StatusOr<ExitCode> Observe(const AgentAddress& server, const ObserveOptions& options) {
  SL_ASSIGN_OR_RETURN(v1::ObserveRequest request, ToRequest(options, std::chrono::system_clock::now()));
  SL_ASSIGN_OR_RETURN(EventWriter writer, EventWriter::Make(options.output, options.fields));
  if (server.is_relay) writer.ShowNodes();
  EndOnInterrupt();
  SL_RETURN_IF_ERROR(Follower(server, std::move(request), std::move(writer)).Run());
  return ExitCode::kDone;
}

}  // namespace

void AddObserve(CLI::App& app, CommandLine& line) {
  const auto options = std::make_shared<ObserveOptions>();
  CLI::App* verb = app.add_subcommand("observe", "show events, newest last");
  verb->add_flag("-f,--follow", options->follow, "show new events until Ctrl-C; waits for an agent that restarts");
  verb->add_option(
      "--last", options->last,
      "start with the newest N past events, 0: all; default: 20, with -f none, with --since all since that time");
  verb->add_flag("--all", options->all, "start with all past events");
  verb->add_option("--since", options->since,
                   "start with past events since this time: 2026-07-01T10:00:00Z, or 5m ago");
  verb->add_option("--until", options->until, "no events after this time, given as for --since; with -f, end then");
  verb->add_flag("--host", options->host, "also events of processes that belong to no workload");
  verb->add_flag("-A,--all-namespaces", options->all_namespaces, "all namespaces, as without -n");
  AddFilterOptions(verb, options);
  verb->add_option("-o,--output", options->output,
                   "compact (a line), wide (a longer one), dict (a line for each field), json (an object a line), "
                   "tetragon-json (as Tetragon writes processes and hooks), kubearmor-json (as KubeArmor's clients "
                   "write alerts) or falco-json (detections, as Falco writes them)")
      ->capture_default_str();
  verb->add_option("--fields", options->fields,
                   "with -o json or dict, only these: time,source.workload,l4.destinationPort");
  verb->footer(
      "A filter may be given several times, or with several values by commas: one match is enough. Different filters "
      "must all match. With -f the times in the first column never go back: a late event has its own time at the end "
      "of its line.");
  verb->callback([&line, options] { line.run = [&line, options] { return Observe(line.server, *options); }; });
}

}  // namespace sluice::client
