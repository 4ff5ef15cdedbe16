// `top`: who sends and is sent how much right now.
#include <thread>

#include "base/output.h"
#include "ctrl/sluice/client.h"
#include "ctrl/sluice/traffic_rates.h"
#include "ctrl/sluice/verb.h"

namespace sluice::client {
namespace {

constexpr char kClearScreen[] = "\x1b[H\x1b[2J";

struct TopOptions {
  std::uint32_t iterations = 0;  // 0: without end
  bool once = false;
  double interval = 2;
  std::string output = "table";
};

StatusOr<std::vector<v1::Flow>> ReadFlows(Client& client) {
  v1::GetRequest request;
  request.set_kind("flows");
  std::vector<v1::Flow> flows;
  SL_RETURN_IF_ERROR(client.Get(request, [&](const v1::Object& object) {
    flows.push_back(object.flow());
    return OkStatus();
  }));
  return flows;
}

Status Show(const std::vector<TrafficRates::Row>& rows, const TopOptions& options) {
  std::string text;
  if (options.output == "json") {
    for (const TrafficRates::Row& row : rows) text += TrafficJson(row) + "\n";
  } else {
    text = (options.iterations == 1 ? "" : kClearScreen) + MakeTrafficTable(rows).ToString();
  }
  return WriteOut(text);
}

StatusOr<ExitCode> Top(const AgentAddress& server, TopOptions options) {
  if (options.once) options.iterations = 1;
  Client client(server);
  TrafficRates rates;
  const std::chrono::duration<double> interval(options.interval);
  SL_ASSIGN_OR_RETURN(const auto first, ReadFlows(client));
  rates.Update(first, TrafficRates::Clock::now());
  for (std::uint32_t shown = 0; options.iterations == 0 || shown < options.iterations; ++shown) {
    std::this_thread::sleep_for(interval);
    SL_ASSIGN_OR_RETURN(const auto flows, ReadFlows(client));
    SL_RETURN_IF_ERROR(Show(rates.Update(flows, TrafficRates::Clock::now()), options));
  }
  return ExitCode::kDone;
}

}  // namespace

void AddTop(CLI::App& app, CommandLine& line) {
  const auto options = std::make_shared<TopOptions>();
  CLI::App* verb = app.add_subcommand("top", "workloads, and programs where flows name them, by what they send now");
  CLI::Option* count = verb->add_option("-n,--iterations", options->iterations, "end after so many; default: Ctrl-C");
  verb->add_flag("--once", options->once, "the same as -n 1")->excludes(count);
  verb->add_option("--interval", options->interval, "seconds between two looks")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  verb->add_option("-o,--output", options->output, "table or json (one row a line)")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  verb->callback([&line, options] { line.run = [&line, options] { return Top(line.server, *options); }; });
}

}  // namespace sluice::client
