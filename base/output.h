// Standard output with its errors.
#pragma once

#include <string_view>

#include "base/status.h"

namespace sluice {

// Writes and flushes `text`. Cancelled when the reader has gone (with SIGPIPE ignored): the program should end, without
// an error message.
Status WriteOut(std::string_view text);

}  // namespace sluice
