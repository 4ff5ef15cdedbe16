#include "ctrl/sluice/process_table.h"

#include "tests/unit/client/messages.h"

namespace sluice::client {
namespace {

v1::Object Running(std::uint32_t pid, std::optional<std::uint32_t> parent, const std::string& binary) {
  v1::Object object;
  v1::RunningProcess& running = *object.mutable_process();
  running.mutable_process()->set_pid(pid);
  running.mutable_process()->set_uid(1000);
  running.mutable_process()->set_binary(binary);
  running.mutable_process()->mutable_start_time()->set_seconds(1);
  if (parent) running.set_parent_pid(*parent);
  return object;
}

TEST(ProcessTable, ChildrenAreBelowTheirParents) {
  auto client = Running(12, 10, "/usr/bin/psql");
  client.mutable_process()->set_namespace_("shop");
  client.mutable_process()->set_workload("web-0");
  client.mutable_process()->mutable_process()->add_arguments("a b");
  const std::vector<v1::Object> objects = {Running(1, std::nullopt, "/sbin/init"), Running(10, 1, "/bin/sh"),
                                           Running(11, 1, "/bin/cron"), client};
  EXPECT_EQ(MakeProcessTable(objects).ToString(),
            "PID   UID  WORKLOAD    STARTED                   COMMAND\n"
            "  1  1000  -           1970-01-01T00:00:01.000Z  /sbin/init\n"
            " 10  1000  -           1970-01-01T00:00:01.000Z    /bin/sh\n"
            " 12  1000  shop/web-0  1970-01-01T00:00:01.000Z      /usr/bin/psql \"a b\"\n"
            " 11  1000  -           1970-01-01T00:00:01.000Z    /bin/cron\n");
}

TEST(ProcessTable, WhoseParentIsNotListedStandsAlone) {
  const std::string table = MakeProcessTable({Running(10, 1, "/bin/sh"), Running(11, 10, "/bin/ls")}).ToString();
  EXPECT_NE(table.find("Z  /bin/sh\n"), std::string::npos) << table;
  EXPECT_NE(table.find("Z    /bin/ls\n"), std::string::npos) << table;
}

TEST(ProcessTable, LongCommandsAreCutBetweenCharacters) {
  std::string binary = "/b";
  while (binary.size() < 400) binary += "é";
  const std::string table = MakeProcessTable({Running(1, std::nullopt, binary)}).ToString();
  EXPECT_NE(table.find("é...\n"), std::string::npos) << table;
  EXPECT_LT(table.size(), 400U);
}

}  // namespace
}  // namespace sluice::client
