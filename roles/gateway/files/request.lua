-- Copyright (c) 2026 tritonops.trtllm contributors
-- GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- Reads the body of a request once and strictly, and sets what HAProxy's rules use:
--   txn.problem  why the body is refused, if it is
--   txn.model    the model that the request names
--   txn.copies   the number of answers: n or best_of, for each prompt
--   txn.limit    the largest number of tokens of an answer that the request allows, 0 if it does not say
--   txn.stream   whether the answer is to be a stream, for the log
-- What a model server could read differently (a key twice, an escaped key, 1e5 instead of 100000) is refused.

local MAX_DEPTH = 100
local MAX_NUMBER = 1000000000
local MAX_COPIES = 1000000

-- Keys whose values are positive whole numbers. The last one is the name of Triton's LLM API model.
local LIMITS = {max_tokens = true, max_completion_tokens = true, sampling_param_max_tokens = true}
local COPIES = {n = true, best_of = true}

local SPACE = "^[ \t\r\n]*()"
local NUMBERS = {"^%-?0()", "^%-?[1-9]%d*()"}
local ESCAPES = '^\\["\\/bfnrt]()'
local LITERALS = {["true"] = true, ["false"] = true, ["null"] = true}

local function refuse(text)
    error({problem = text}, 0)
end

local function after_space(text, at)
    return text:match(SPACE, at)
end

-- The position after the string that starts at `at`, and whether the string contains escapes.
local function after_string(text, at)
    local escaped, position = false, at + 1
    while true do
        local stop = text:find('["\\\0-\31]', position)
        local byte = stop and text:byte(stop)
        if byte == 34 then
            return stop + 1, escaped
        elseif byte ~= 92 then
            refuse("a string does not end, or contains a control character")
        end
        escaped = true
        position = text:match(ESCAPES, stop) or text:match("^\\u%x%x%x%x()", stop)
        if not position then
            refuse("a string contains an unknown escape")
        end
    end
end

local function after_number(text, at)
    local position = text:match(NUMBERS[1], at) or text:match(NUMBERS[2], at)
    if not position then
        refuse("unexpected character")
    end
    position = text:match("^%.%d+()", position) or position
    return text:match("^[eE][+-]?%d+()", position) or position
end

local after_value

-- Calls `each` for each element of the array or object between its brackets; returns the position after it.
local function after_list(text, at, closing, each)
    local position = after_space(text, at + 1)
    if text:byte(position) == closing then
        return position + 1
    end
    while true do
        position = after_space(text, each(position))
        local byte = text:byte(position)
        if byte == closing then
            return position + 1
        elseif byte ~= 44 then
            refuse("a comma or a closing bracket is missing")
        end
        position = after_space(text, position + 1)
    end
end

-- The position of the value of the key that starts at `at`, the key itself, and whether it contains escapes.
local function after_key(text, at)
    if text:byte(at) ~= 34 then
        refuse("a key is not a string")
    end
    local stop, escaped = after_string(text, at)
    local colon = after_space(text, stop)
    if text:byte(colon) ~= 58 then
        refuse("a colon is missing")
    end
    return after_space(text, colon + 1), text:sub(at + 1, stop - 2), escaped
end

function after_value(text, at, depth)
    local byte = text:byte(at)
    if byte == 34 then
        return (after_string(text, at))
    elseif byte ~= 123 and byte ~= 91 then
        local word, position = text:match("^(%l+)()", at)
        return LITERALS[word] and position or after_number(text, at)
    elseif depth >= MAX_DEPTH then
        refuse("it is nested too deeply")
    elseif byte == 91 then
        return after_list(text, at, 93, function(start)
            return after_value(text, start, depth + 1)
        end)
    end
    return after_list(text, at, 125, function(start)
        return after_value(text, (after_key(text, start)), depth + 1)
    end)
end

-- The first and the last position of the value of each key of the body, which must be an object.
local function members(text)
    local found = {}
    local start = after_space(text, 1)
    if text:byte(start) ~= 123 then
        refuse("it is not a JSON object")
    end
    local stop = after_list(text, start, 125, function(at)
        local value, key, escaped = after_key(text, at)
        if escaped then
            refuse("a key contains an escape")
        elseif found[key] then
            refuse("the key '" .. key:sub(1, 40) .. "' occurs more than once")
        end
        local after = after_value(text, value, 1)
        found[key] = {value, after - 1}
        return after
    end)
    if after_space(text, stop) <= #text then
        refuse("there is text after the JSON object")
    end
    return found
end

local function value_of(text, found, key)
    local place = found[key]
    local value = place and text:sub(place[1], place[2])
    return value ~= "null" and value or nil
end

-- The largest of the whole numbers that the request gives for the keys, or nil.
local function largest(text, found, keys)
    local result
    for key in pairs(keys) do
        local value = value_of(text, found, key)
        local number = value and value:match("^[1-9]%d*$") and #value <= 10 and tonumber(value)
        if value and not number or number and number > MAX_NUMBER then
            refuse(key .. " must be a whole number of at least 1")
        end
        result = math.max(number or 0, result or 0)
    end
    return result
end

-- A slash may be escaped, as some JSON libraries do. Other escapes are not needed in a model's name.
local function model_name(text, found)
    local value = value_of(text, found, "model")
    local name = value and value:match('^"(.*)"$')
    name = name and name:gsub("\\/", "/")
    if value and (not name or name:find('[\\%c]')) then
        refuse("model must be a string without escapes")
    end
    return name
end

-- The number of prompts: completions may have an array of strings, or of arrays of tokens.
local function prompts(text, found)
    local place = found.prompt
    if not place or text:byte(place[1]) ~= 91 then
        return 1
    end
    local count, tokens = 0, false
    after_list(text, place[1], 93, function(at)
        count = count + 1
        tokens = tokens or text:find("^[%d-]", at) ~= nil
        return after_value(text, at, 2)
    end)
    return tokens and 1 or math.max(count, 1)
end

local function read(text)
    if not utf8.len(text) then
        refuse("it is not UTF-8")
    end
    local found = members(text)
    local stream = value_of(text, found, "stream")
    if stream and stream ~= "true" and stream ~= "false" then
        refuse("stream must be true or false")
    end
    local copies = math.max(largest(text, found, COPIES), 1) * prompts(text, found)
    if copies > MAX_COPIES then
        refuse("n and the number of prompts are too large")
    end
    return {
        model = model_name(text, found),
        copies = copies,
        limit = largest(text, found, LIMITS),
        stream = stream or "false",
    }
end

-- Whether the comma-separated list contains the name, or is "*".
local function listed(list, name)
    return list == "*" or ("," .. list .. ","):find("," .. name .. ",", 1, true) ~= nil
end

-- What GET /v1/models answers: those of the models that the list contains.
local function catalogue(models, list)
    local entries = {}
    for _, name in ipairs(models) do
        if listed(list, name) then
            entries[#entries + 1] = ('{"id":"%s","object":"model","created":0,"owned_by":"tritonops"}'):format(name)
        end
    end
    return '{"object":"list","data":[' .. table.concat(entries, ",") .. "]}"
end

-- Servers that were taken out of rotation stay out after a reload.
local function restore_states(path)
    local states = {}
    for line in io.lines(path) do
        local name, state = line:match("^(%S+) (%l+)$")
        states[name or ""] = state
    end
    for _, backend in pairs(core.backends) do
        for name, server in pairs(backend.servers) do
            if states[name] == "drain" then
                server:set_drain()
            elseif states[name] == "maint" then
                server:set_maint()
            end
        end
    end
end

if core then
    local states_file = ...
    local served = {select(2, ...)}

    core.register_init(function()
        restore_states(states_file)
    end)

    core.register_action("read_request", {"http-req"}, function(txn)
        local ok, result = pcall(read, txn.f:req_body() or "")
        if not ok and type(result) ~= "table" then
            error(result, 0)
        end
        for name, value in pairs(result) do
            txn:set_var("txn." .. name, value)
        end
    end)

    core.register_action("check_access", {"http-req"}, function(txn)
        txn:set_var("txn.allowed", listed(txn:get_var("txn.models"), txn:get_var("txn.model")))
    end)

    core.register_action("list_models", {"http-req"}, function(txn)
        txn:set_var("txn.body", catalogue(served, txn:get_var("txn.models")))
    end)
end
