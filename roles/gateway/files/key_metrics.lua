-- Copyright (c) 2026 tritonops.trtllm contributors
-- GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- Counts the requests and the reserved tokens of each API key, and exports them for Prometheus with the key's limits.
-- The counters in HAProxy's table of keys do not suffice: Lua cannot read the second of them, they expire, other gateways
-- have copies of them, and the tokens of keys without a limit are not counted there.

-- What is exported are the keys in the file, because Lua cannot list HAProxy's map of them.
local keys_file, share = ...
share = tonumber(share)

-- The hash, and the beginning of the record that haproxy.cfg describes.
local ENTRY = "^%x+ ([%w._-]+)|(%d+)|(%d+)|"
local PREFIX = "trtllm_gateway_key_"
local METRICS = {
    {"requests_total", "counter", "Requests that were not refused."},
    {"tokens_reserved_total", "counter", "Tokens that these requests reserved."},
    {"max_requests_per_minute", "gauge", "The limit of this gateway."},
    {"max_tokens_per_minute", "gauge", "The limit of this gateway."},
}

-- By the key's name. They begin at 0 after a reload.
local requests, tokens = {}, {}

-- This gateway's part of a limit, as haproxy.cfg enforces it. There is no limit if it is 0.
local function part_of(limit)
    local number = tonumber(limit)
    return number > 0 and math.max(number // share, 1) or nil
end

-- The names of the keys, and the values of each one. Keys with the same name have the same limits.
local function read_keys()
    local names, values = {}, {}
    for line in io.lines(keys_file) do
        local name, max_requests, max_tokens = line:match(ENTRY)
        if name and not values[name] then
            names[#names + 1] = name
            values[name] = {
                requests_total = requests[name] or 0,
                tokens_reserved_total = tokens[name] or 0,
                max_requests_per_minute = part_of(max_requests),
                max_tokens_per_minute = part_of(max_tokens),
            }
        end
    end
    table.sort(names)
    return names, values
end

local function exported()
    local names, values = read_keys()
    local lines = {}
    for _, metric in ipairs(METRICS) do
        local own, kind, help = table.unpack(metric)
        lines[#lines + 1] = ("# HELP %s %s\n# TYPE %s %s\n"):format(PREFIX .. own, help, PREFIX .. own, kind)
        for _, name in ipairs(names) do
            local value = values[name][own]
            if value then
                lines[#lines + 1] = ('%s{key="%s"} %d\n'):format(PREFIX .. own, name, value)
            end
        end
    end
    return table.concat(lines)
end

core.register_action("count_request", {"http-req"}, function(txn)
    local name = txn:get_var("txn.name")
    requests[name] = (requests[name] or 0) + 1
    tokens[name] = (tokens[name] or 0) + txn:get_var("txn.tokens")
end)

core.register_service("key_metrics", "http", function(applet)
    local text = exported()
    applet:set_status(200)
    applet:add_header("Content-Type", "text/plain; version=0.0.4")
    applet:add_header("Content-Length", tostring(#text))
    applet:start_response()
    applet:send(text)
end)
