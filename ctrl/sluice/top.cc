// `top`: the current traffic of each workload.
#include <sstream>
#include <thread>

#include "base/output.h"
#include "ctrl/sluice/client.h"
#include "ctrl/sluice/terminal.h"
#include "ctrl/sluice/traffic_rates.h"
#include "ctrl/sluice/verb.h"

namespace sluice::client {
namespace {

constexpr char kClearScreen[] = "\x1b[H\x1b[2J";
constexpr char kBold[] = "\x1b[1m", kRed[] = "\x1b[31m", kPlain[] = "\x1b[0m";

struct TopOptions {
  v1::TopRequest::By by = v1::TopRequest::PROGRAM;
  TrafficSort sort = TrafficSort::kBytes;
  std::string ns;
  std::size_t limit = 0;         // rows; 0: all
  std::uint32_t iterations = 0;  // 0: without end
  bool once = false;
  double interval = 2;
  std::string output = "table";
};

// The titles in bold, rows with drops in red.
std::string WithColors(const std::string& table, const std::vector<TrafficRates::Row>& rows) {
  std::istringstream lines(table);
  std::string text, line;
  for (std::size_t i = 0; std::getline(lines, line); ++i) {
    const char* const color = i == 0 ? kBold : i <= rows.size() && rows[i - 1].drops > 0 ? kRed : nullptr;
    text += color == nullptr ? line + "\n" : color + line + kPlain + "\n";
  }
  return text;
}

Status Show(std::vector<TrafficRates::Row> rows, const TopOptions& options, bool first) {
  SortRows(options.sort, &rows);
  if (options.limit != 0 && rows.size() > options.limit) rows.resize(options.limit);
  if (options.output == "json") {
    std::string text;
    for (const TrafficRates::Row& row : rows) text += TrafficJson(row) + "\n";
    return WriteOut(text);
  }
  const bool screen = OutputIsTerminal() && options.iterations != 1;
  const auto window = OutputIsTerminal() ? WindowOfOutput() : std::nullopt;
  // Two lines are for the titles and the cursor.
  if (screen && window && window->rows > 2 && rows.size() > window->rows - 2) rows.resize(window->rows - 2);
  std::string text = MakeTrafficTable(rows, options.by, window ? window->columns : 0).ToString();
  if (OutputTakesColor()) text = WithColors(text, rows);
  return WriteOut((screen ? kClearScreen : first ? "" : "\n") + text);
}

StatusOr<ExitCode> Top(const AgentAddress& server, TopOptions options) {
  if (options.once) options.iterations = 1;
  v1::TopRequest request;
  request.set_by(options.by);
  request.set_namespace_(options.ns);
  Client client(server);
  TrafficRates rates;
  EndOnInterrupt();
  const auto interval =
      std::chrono::duration_cast<TrafficRates::Clock::duration>(std::chrono::duration<double>(options.interval));
  SL_ASSIGN_OR_RETURN(const v1::TopReply before, client.Top(request));
  auto next = TrafficRates::Clock::now();
  rates.Update(before, next);
  for (std::uint32_t shown = 0; options.iterations == 0 || shown < options.iterations; ++shown) {
    next = std::max(next + interval, TrafficRates::Clock::now());
    std::this_thread::sleep_until(next);
    SL_ASSIGN_OR_RETURN(const v1::TopReply reply, client.Top(request));
    SL_RETURN_IF_ERROR(Show(rates.Update(reply, TrafficRates::Clock::now()), options, shown == 0));
  }
  return ExitCode::kDone;
}

}  // namespace

void AddTop(CLI::App& app, CommandLine& line) {
  static const std::map<std::string, v1::TopRequest::By> kinds = {
      {"workload", v1::TopRequest::WORKLOAD}, {"program", v1::TopRequest::PROGRAM}, {"peer", v1::TopRequest::PEER}};
  static const std::map<std::string, TrafficSort> sorts = {{"packets", TrafficSort::kPackets},
                                                           {"bytes", TrafficSort::kBytes},
                                                           {"drops", TrafficSort::kDrops},
                                                           {"flows", TrafficSort::kFlows}};
  const auto options = std::make_shared<TopOptions>();
  CLI::App* verb = app.add_subcommand("top", "show the current traffic of workloads and of their programs or peers");
  verb->add_option("--by", options->by, "the rows below each workload: program, peer, or none (workload)")
      ->transform(CLI::CheckedTransformer(kinds).description(""))
      ->type_name("workload|program|peer")
      ->default_str("program");
  verb->add_option("--sort", options->sort, "packets, bytes, drops or flows: most first")
      ->transform(CLI::CheckedTransformer(sorts).description(""))
      ->type_name("packets|bytes|drops|flows")
      ->default_str("bytes");
  verb->add_option("-n,--namespace", options->ns, "only workloads of this namespace; default: all");
  verb->add_option("--limit", options->limit,
                   "show at most this many rows; default: all, on a terminal those that fit");
  CLI::Option* count =
      verb->add_option("--iterations", options->iterations, "end after this many tables; default: Ctrl-C");
  verb->add_flag("--once", options->once, "the same as --iterations 1")->excludes(count);
  verb->add_option("--interval", options->interval, "seconds between two tables")
      ->check(CLI::Range(0.1, 300.0))
      ->capture_default_str();
  verb->add_option("-o,--output", options->output, "table or json (one row a line)")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  verb->callback([&line, options] { line.run = [&line, options] { return Top(line.server, *options); }; });
}

}  // namespace sluice::client
