#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include "base/printable.h"

namespace sluice {
namespace {

// Messages may contain text from outside: it is escaped, and further lines of a message are indented, so that none
// looks like a message of its own.
class PrintableMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    constexpr std::string_view kIndent = "    ";
    for (const char c : PrintableLines({message.payload.data(), message.payload.size()})) {
      out.push_back(c);
      if (c == '\n') out.append(kIndent.data(), kIndent.data() + kIndent.size());
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<PrintableMessage>(); }
};

}  // namespace

void InitLogging(bool debug) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  formatter->add_flag<PrintableMessage>('*').set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %*");
  auto logger = std::make_shared<spdlog::logger>("sluice", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_formatter(std::move(formatter));
  logger->set_level(debug ? spdlog::level::debug : spdlog::level::info);
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

bool LogsDebug() { return spdlog::should_log(spdlog::level::debug); }

void SetLogsDebug(bool debug) { spdlog::set_level(debug ? spdlog::level::debug : spdlog::level::info); }

}  // namespace sluice
