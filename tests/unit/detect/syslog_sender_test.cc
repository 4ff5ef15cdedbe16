#include "ctrl/detect/syslog_sender.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "tests/unit/detect/rules.h"

namespace sluice::detect {
namespace {

using Sent = telemetry::DetectionSender::Sent;
using test::Detection;
using testing::HasSubstr;
using testing::MatchesRegex;

// A syslog daemon, as far as its socket goes.
class Daemon {
 public:
  explicit Daemon(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    EXPECT_EQ(bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }
  std::string Next() const {
    std::string text(65536, '\0');
    const ssize_t size = recv(socket_.get(), text.data(), text.size(), 0);
    text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    return text;
  }

 private:
  Fd socket_;
};

TEST(SyslogSender, WritesALineWithThePriority) {
  const test::Directory directory;
  const Daemon daemon(directory.path("log"));
  SyslogSender text(directory.path("log"), SyslogSender::Form::kText);
  EXPECT_EQ(text.Send(*Detection("r", "w", "who did\nwhat")).sent, Sent::kDone);
  const std::string line = daemon.Next();
  // 8 is the facility "user", 2 the severity "critical".
  EXPECT_THAT(line, MatchesRegex("<10>[A-Z][a-z][a-z] [ 0-9][0-9] [0-9:]+ sluice\\[[0-9]+\\]: "
                                 "09:40:10.000000000: Critical who did.nwhat"));
  SyslogSender json(directory.path("log"), SyslogSender::Form::kJson);
  EXPECT_EQ(json.Send(*Detection("r")).sent, Sent::kDone);
  const std::string message = daemon.Next();
  EXPECT_EQ(nlohmann::json::parse(message.substr(message.find('{')))["rule"], "r");
}

TEST(SyslogSender, LongMessagesAreCutAtACharacter) {
  const test::Directory directory;
  const Daemon daemon(directory.path("log"));
  SyslogSender sender(directory.path("log"), SyslogSender::Form::kText);
  std::string output;
  for (int i = 0; i < 10000; ++i) output += "\xc3\xa9";
  EXPECT_EQ(sender.Send(*Detection("r", "w", output)).sent, Sent::kDone);
  const std::string line = daemon.Next();
  EXPECT_LE(line.size(), 8192U);
  EXPECT_GE(line.size(), 8190U);
  EXPECT_TRUE(line.ends_with("\xc3\xa9"));
}

TEST(SyslogSender, ADaemonMayComeLaterAndComeBack) {
  const test::Directory directory;
  SyslogSender sender(directory.path("log"), SyslogSender::Form::kText);
  const auto result = sender.Send(*Detection("r"));
  EXPECT_EQ(result.sent, Sent::kLater);
  EXPECT_THAT(result.problem, HasSubstr(directory.path("log")));
  {
    const Daemon daemon(directory.path("log"));
    EXPECT_EQ(sender.Send(*Detection("r")).sent, Sent::kDone);
  }
  EXPECT_EQ(sender.Send(*Detection("r")).sent, Sent::kLater);
  std::filesystem::remove(directory.path("log"));
  const Daemon daemon(directory.path("log"));
  EXPECT_EQ(sender.Send(*Detection("r")).sent, Sent::kDone);
  EXPECT_NE(daemon.Next(), "");
}

TEST(SyslogSender, ADaemonThatDoesNotReadBlocksForABoundedTime) {
  const test::Directory directory;
  const Daemon daemon(directory.path("log"));
  SyslogSender sender(directory.path("log"), SyslogSender::Form::kText);
  auto result = sender.Send(*Detection("r"));
  for (int i = 0; i < 10000 && result.sent == Sent::kDone; ++i) result = sender.Send(*Detection("r"));
  EXPECT_EQ(result.sent, Sent::kLater);
  while (!daemon.Next().empty()) {
  }
  EXPECT_EQ(sender.Send(*Detection("r")).sent, Sent::kDone);
}

}  // namespace
}  // namespace sluice::detect
