// `status`: is enforcement in place, and is the agent healthy?
#include <chrono>
#include <optional>
#include <thread>

#include "base/output.h"
#include "ctrl/sluice/client.h"
#include "ctrl/sluice/cluster_text.h"
#include "ctrl/sluice/status_text.h"
#include "ctrl/sluice/verb.h"
#include "telemetry/event/json.h"

namespace sluice::client {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kAskAgain{500};

struct StatusOptions {
  std::string output = "table";
  std::optional<double> wait;  // seconds; 0: without end
};

StatusOr<v1::AgentStatus> Read(Client& client, const v1::AgentStatus*) { return client.ReadStatus(); }
StatusOr<cluster::ClusterStatus> Read(Client& client, const cluster::ClusterStatus*) {
  return client.ReadClusterStatus();
}

// Asks until everything is in place or the time is over, also while nobody answers. Returns the last answer.
template <typename Answer>
StatusOr<Answer> Ask(const AgentAddress& server, const StatusOptions& options) {
  Client client(server);
  const double seconds = options.wait.value_or(0);
  const auto until = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  const bool for_ever = options.wait && seconds == 0;
  while (true) {
    StatusOr<Answer> status = Read(client, static_cast<const Answer*>(nullptr));
    const bool done = status.ok() ? IsInPlace(*status) : status.status().code() != absl::StatusCode::kUnavailable;
    if (done || (!for_ever && Clock::now() + kAskAgain >= until)) return status;
    std::this_thread::sleep_for(kAskAgain);
  }
}

template <typename Answer>
StatusOr<ExitCode> ShowStatus(const AgentAddress& server, const StatusOptions& options) {
  SL_ASSIGN_OR_RETURN(const Answer status, Ask<Answer>(server, options));
  if (options.output == "json") {
    SL_ASSIGN_OR_RETURN(const std::string json, telemetry::ToJson(status));
    SL_RETURN_IF_ERROR(WriteOut(json + "\n"));
  } else {
    SL_RETURN_IF_ERROR(WriteOut(StatusText(status)));
  }
  if (IsInPlace(status)) return ExitCode::kDone;
  Tell("sluice: " + NotInPlaceText(status));
  return ExitCode::kNotInPlace;
}

}  // namespace

void AddStatus(CLI::App& app, CommandLine& line) {
  const auto options = std::make_shared<StatusOptions>();
  CLI::App* verb = app.add_subcommand("status",
                                      "the agent's health; exit 0 only when enforcement is in place for every "
                                      "workload, 4 when something is closed or not in place; with --cluster that of "
                                      "all nodes, of which none may be missing");
  verb->add_option("-o,--output", options->output, "table (text) or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  verb->add_option_function<std::vector<double>>(
          "--wait",
          [options](const std::vector<double>& seconds) { options->wait = seconds.empty() ? 0 : seconds.front(); },
          "wait until everything is in place, at most SECONDS; without a number, as long as needed")
      ->expected(0, 1)
      ->type_name("[SECONDS]")
      ->check(CLI::Range(0.0, 1e6).description(""));
  verb->callback([&line, options] {
    line.run = [&line, options] {
      return line.cluster ? ShowStatus<cluster::ClusterStatus>(line.server, *options)
                          : ShowStatus<v1::AgentStatus>(line.server, *options);
    };
  });
}

}  // namespace sluice::client
