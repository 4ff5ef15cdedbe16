// The real `sluice sysdump`: the archive's content, what it must not contain, and that it needs no agent.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "ctrl/sluice/dump_redaction.h"
#include "testbed/command.h"
#include "tests/unit/client/fake_agent.h"
#include "tests/unit/client/messages.h"

namespace sluice::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Sysdump : public testing::Test {
 protected:
  CommandResult Run(const Arguments& arguments) const {
    const char* directory = std::getenv("SLUICE_BIN_DIR");
    Arguments all{std::string(directory == nullptr ? "build/bin" : directory) + "/sluice",
                  "--server",
                  agent_.address(),
                  "sysdump",
                  "--metrics",
                  "127.0.0.1:1"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const auto result = RunCommand(all);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : CommandResult{};
  }
  // A file of the archive; empty: not found.
  std::string Read(const std::string& file) const {
    EXPECT_TRUE(RunChecked({"tar", "-xzf", archive_, "-C", std::filesystem::path(archive_).parent_path(),
                            "--strip-components=1", "--wildcards", "*/" + file})
                    .ok())
        << file;
    std::stringstream text;
    text << std::ifstream(files_ / file).rdbuf();
    return text.str();
  }

  FakeAgent agent_;
  TemporaryDirectory files_;
  std::string archive_ = files_ / "dump.tar.gz";
};

TEST_F(Sysdump, HasWhatTheAgentKnowsAndNoArguments) {
  agent_.state.set_version("0.9");
  agent_.state.set_ready(true);
  agent_.objects = {FromJson<v1::Object>(R"({"process": {"workload": "web", "process": {
    "binary": "/usr/bin/psql", "argument0": "hunter2", "arguments": ["--password", "hunter2"]}}})")};
  agent_.events = {FromJson<v1::Event>(R"({"flow": {"type": "flow", "verdict": "DROPPED", "source": {"process": {
    "binary": "/usr/bin/curl", "arguments": ["-u", "joe:hunter2"]}}}})")};
  agent_.Start();
  const auto result = Run({"-o", archive_});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr(archive_ + ": "));
  EXPECT_THAT(Read("versions.txt"), AllOf(HasSubstr("sluice 0."), HasSubstr("sluiced 0.9\n")));
  EXPECT_THAT(Read("status.json"), HasSubstr(R"("version":"0.9")"));
  EXPECT_THAT(Read("processes.json"),
              AllOf(HasSubstr("/usr/bin/psql"), HasSubstr("(2 left out)"), Not(HasSubstr("hunter2"))));
  EXPECT_THAT(Read("events.json"), AllOf(HasSubstr("/usr/bin/curl"), HasSubstr("DROPPED"), Not(HasSubstr("hunter2"))));
  EXPECT_THAT(Read("interfaces.json"), HasSubstr("\"lo\""));
  EXPECT_THAT(Read("kernel.txt"), HasSubstr("Linux"));
  EXPECT_THAT(Read("errors.txt"), HasSubstr("metrics.txt: curl failed: "));
  struct stat facts {};
  ASSERT_EQ(stat(archive_.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777U, 0600U) << "others cannot read it";
}

TEST_F(Sysdump, NeedsNoAgent) {
  const auto result = Run({"-o", archive_});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("errors.txt"));
  EXPECT_THAT(Read("errors.txt"), HasSubstr("status.json: no agent answers at " + agent_.address()));
  EXPECT_THAT(Read("versions.txt"), HasSubstr("sluice 0."));
  EXPECT_THAT(Read("routes4.json"), testing::StartsWith("["));
}

TEST_F(Sysdump, FailsWhereItCannotWrite) {
  const auto result = Run({"-o", files_ / "missing/dump.tar.gz"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr("missing/dump.tar.gz"));
}

TEST(DumpRedaction, LeavesOfAPodWhatPolicyAsksFor) {
  const auto kept = client::RedactResource(R"({"kind": "Pod", "metadata": {"name": "web", "labels": {"env": "prod"},
    "annotations": {"last-applied": "hunter2"}}, "spec": {"containers": [{"name": "c", "image": "i",
    "ports": [{"containerPort": 80}], "env": [{"name": "PASSWORD", "value": "hunter2"}], "args": ["hunter2"]}],
    "initContainers": [{"name": "d", "command": ["hunter2"]}]}, "status": {"podIPs": [{"ip": "10.0.0.1"}]}})");
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(*kept,
            R"({"kind":"Pod","metadata":{"name":"web","labels":{"env":"prod"}},"spec":{"containers":[{"name":"c",)"
            R"("image":"i","ports":[{"containerPort":80}]}],"initContainers":[{"name":"d"}]},)"
            R"("status":{"podIPs":[{"ip":"10.0.0.1"}]}})");
  EXPECT_FALSE(client::RedactResource("no json").ok());
}

}  // namespace
}  // namespace sluice::test
