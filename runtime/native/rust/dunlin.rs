//! dunlin.h in Rust: functions as a cdylib, with the standard library only. Take this file into your crate: `mod dunlin;`
//!
//!     dunlin::export!(handle);
//!     fn handle(context: &mut Context, event: &Event) -> Result<Answer, Failure> { ... }
//!
//! What stays true is written in dunlin.h: one thread, no globals, and what an event gives out lives as long as the call.
#![allow(dead_code)]

use std::ffi::{c_void, CStr};
use std::os::raw::c_char;

pub const ABI: u32 = 1;
const COPIED_BODY_MAX: usize = 32768;
const HEADER_BYTES: usize = 64;

pub const E_TOO_LARGE: i32 = -1;
pub const E_REFUSED: i32 = -2;

const RESULT: u8 = 17;
const EMIT: u8 = 18;
const PUBLISH: u8 = 19;
const STATE_SET: u8 = 20;
const STATE_DELETE: u8 = 21;
const STATE_GET: u8 = 22;
const CALL: u8 = 23;
const LOG: u8 = 24;

const TOPIC: u8 = 1;
const CONTENT_TYPE: u8 = 2;
const METHOD: u8 = 4;
const PATH: u8 = 5;
const HEADER: u8 = 7;
const FIELD: u8 = 8;
const ERROR: u8 = 11;
const STREAM: u8 = 13;
const KEY: u8 = 14;
const FUNCTION: u8 = 15;

#[derive(Clone, Copy)]
pub enum Level {
    Debug = 10,
    Info = 20,
    Warn = 30,
    Error = 40,
}

/// struct dunlin_record; its head and body lie behind it.
#[repr(C)]
pub struct Record {
    size: u32,
    kind: u8,
    flags: u8,
    status: u16,
    ticket: u64,
    head_length: u32,
    body_length: u32,
    pub time_us: u64,
    pub monotonic_ns: u64,
    pub id: [u8; 16],
    pub source: u16,
    pub attempt: u16,
    pub boot: u32,
}

pub type Event = Record;

impl Record {
    fn bytes(&self, at: usize, length: usize) -> &[u8] {
        unsafe { std::slice::from_raw_parts((self as *const Record as *const u8).add(HEADER_BYTES + at), length) }
    }

    pub fn body(&self) -> &[u8] {
        self.bytes(self.head_length as usize, self.body_length as usize)
    }

    pub fn status(&self) -> u16 {
        self.status
    }

    /// The first item of `tag`, with this key where one is wanted.
    fn item(&self, tag: u8, wanted: Option<&str>) -> Option<&str> {
        let head = self.bytes(0, self.head_length as usize);
        let mut at = 0;
        while at + 4 <= head.len() {
            let key_end = at + 4 + head[at + 1] as usize;
            let end = key_end + (head[at + 2] as usize | (head[at + 3] as usize) << 8);
            if end > head.len() {
                return None;
            }
            let is_wanted = wanted.map_or(true, |name| head[at + 4..key_end].eq_ignore_ascii_case(name.as_bytes()));
            if head[at] == tag && is_wanted {
                return std::str::from_utf8(&head[key_end..end]).ok();
            }
            at = end;
        }
        None
    }

    pub fn topic(&self) -> &str {
        self.item(TOPIC, None).unwrap_or("")
    }

    pub fn content_type(&self) -> &str {
        self.item(CONTENT_TYPE, None).unwrap_or("")
    }

    pub fn method(&self) -> &str {
        self.item(METHOD, None).unwrap_or("")
    }

    pub fn path(&self) -> &str {
        self.item(PATH, None).unwrap_or("")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.item(HEADER, Some(name))
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        self.item(FIELD, Some(name))
    }
}

#[repr(C)]
struct Trigger {
    name: *const c_char,
    kind: *const c_char,
    class: *const c_char,
}

/// struct dunlin_context: its layout is the contract.
#[repr(C)]
pub struct Context {
    abi: u32,
    size: u32,
    user_data: *mut c_void,
    function_name: *const c_char,
    function_version: *const c_char,
    triggers: *const Trigger,
    trigger_count: u32,
    pub worker_id: u32,
    log_level: i32,
    out_length: u32,
    out_capacity: u32,
    reserved: u32,
    out: *mut u8,
    answer: *const Record,
    send: extern "C" fn(*mut Context, *const c_void, usize) -> i32,
    ask: extern "C" fn(*mut Context, *const c_void, usize) -> i32,
}

type Item<'a> = (u8, &'a str, &'a str);

impl Context {
    pub fn function_name(&self) -> &str {
        unsafe { CStr::from_ptr(self.function_name) }.to_str().unwrap_or("")
    }

    /// What the worker keeps between events: made when it is first asked for.
    pub fn user_data<T: 'static>(&mut self, make: impl FnOnce() -> T) -> &mut T {
        if self.user_data.is_null() {
            self.user_data = Box::into_raw(Box::new(make())) as *mut c_void;
        }
        unsafe { &mut *(self.user_data as *mut T) }
    }

    pub fn emit(&mut self, event: &Event, stream: &str, body: &[u8]) -> Result<(), i32> {
        self.write(EMIT, event.ticket, 0, 0, &[(STREAM, "", stream)], body, false)
    }

    pub fn publish(&mut self, event: &Event, topic: &str, body: &[u8], qos: u8, retain: bool) -> Result<(), i32> {
        self.write(PUBLISH, event.ticket, 0, (qos & 1) | (retain as u8) << 2, &[(TOPIC, "", topic)], body, false)
    }

    /// Bytes as they are; what another language reads as an object is `state_set_json`.
    pub fn state_set(&mut self, event: &Event, key: &str, value: &[u8]) -> Result<(), i32> {
        self.write(STATE_SET, event.ticket, 0, 0, &[(KEY, "", key)], value, false)
    }

    pub fn state_set_json(&mut self, event: &Event, key: &str, json: &str) -> Result<(), i32> {
        self.write(STATE_SET, event.ticket, 1, 0, &[(KEY, "", key)], json.as_bytes(), false)
    }

    pub fn state_delete(&mut self, event: &Event, key: &str) -> Result<(), i32> {
        self.write(STATE_DELETE, event.ticket, 0, 0, &[(KEY, "", key)], &[], false)
    }

    pub fn state_get(&mut self, event: &Event, key: &str) -> Result<Option<Vec<u8>>, i32> {
        self.write(STATE_GET, event.ticket, 0, 0, &[(KEY, "", key)], &[], true)?;
        let answer = unsafe { &*self.answer };
        let is_absent = answer.flags & 0x10 != 0 || answer.body_length == 0;
        Ok(if is_absent { None } else { Some(answer.body()[1..].to_vec()) })
    }

    /// The status and the body of the answer.
    pub fn call_function(&mut self, name: &str, body: &[u8]) -> Result<(u16, Vec<u8>), i32> {
        self.write(CALL, 0, 0, 0, &[(FUNCTION, "", name)], body, true)?;
        let answer = unsafe { &*self.answer };
        Ok((answer.status, answer.body().to_vec()))
    }

    pub fn log(&mut self, level: Level, text: &str) {
        if level as i32 >= self.log_level {
            let _ = self.write(LOG, 0, level as u16, 0, &[], cut(text, 16384).as_bytes(), false);
            let _ = self.sent(std::ptr::null(), 0);
        }
    }

    fn sent(&mut self, body: *const c_void, length: usize) -> Result<(), i32> {
        let send = self.send;
        code(send(self, body, length))
    }

    fn write(&mut self, kind: u8, ticket: u64, status: u16, flags: u8, items: &[Item], body: &[u8], ask: bool) -> Result<(), i32> {
        if items.iter().any(|(_, key, value)| key.len() > 255 || value.len() > 65535) || body.len() > 64 << 20 {
            return Err(E_TOO_LARGE);
        }
        let head: usize = items.iter().map(|(_, key, value)| 4 + key.len() + value.len()).sum();
        let is_copied = body.len() < COPIED_BODY_MAX;
        let used = HEADER_BYTES + head + if is_copied { body.len() } else { 0 };
        let size = if is_copied { (used + 7) & !7 } else { used };
        if (self.out_capacity - self.out_length) as usize <= size {
            self.sent(std::ptr::null(), 0)?;
        }
        if self.out_capacity as usize <= size {
            return Err(E_TOO_LARGE);
        }
        let record = unsafe { std::slice::from_raw_parts_mut(self.out.add(self.out_length as usize), size) };
        record.fill(0);
        record[0..4].copy_from_slice(&(size as u32).to_le_bytes());
        record[4] = kind;
        record[5] = flags;
        record[6..8].copy_from_slice(&status.to_le_bytes());
        record[8..16].copy_from_slice(&ticket.to_le_bytes());
        record[16..20].copy_from_slice(&(head as u32).to_le_bytes());
        record[20..24].copy_from_slice(&(body.len() as u32).to_le_bytes());
        let mut at = HEADER_BYTES;
        for (tag, key, value) in items {
            record[at..at + 4].copy_from_slice(&[*tag, key.len() as u8, value.len() as u8, (value.len() >> 8) as u8]);
            record[at + 4..at + 4 + key.len()].copy_from_slice(key.as_bytes());
            at += 4 + key.len();
            record[at..at + value.len()].copy_from_slice(value.as_bytes());
            at += value.len();
        }
        if is_copied {
            record[at..at + body.len()].copy_from_slice(body);
        }
        self.out_length += size as u32;
        let (outside, length) = if is_copied { (std::ptr::null(), 0) } else { (body.as_ptr() as *const c_void, body.len()) };
        match (ask, is_copied) {
            (true, _) => {
                let ask = self.ask;
                code(ask(self, outside, length))
            }
            (false, false) => self.sent(outside, length),
            (false, true) => Ok(()),
        }
    }
}

fn code(value: i32) -> Result<(), i32> {
    if value == 0 {
        Ok(())
    } else {
        Err(value)
    }
}

fn cut(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// What a handler answers with.
pub struct Answer {
    pub status: u16,
    pub content_type: &'static str,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn none() -> Answer {
        Answer { status: 200, content_type: "", body: Vec::new() }
    }

    pub fn text(text: impl Into<String>) -> Answer {
        Answer { status: 200, content_type: "text/plain", body: text.into().into_bytes() }
    }
}

/// Why an event has failed; it is given again.
pub struct Failure(pub String);

impl From<i32> for Failure {
    fn from(code: i32) -> Failure {
        Failure(match code {
            E_TOO_LARGE => "too large".to_string(),
            E_REFUSED => "no event is being handled".to_string(),
            other => format!("error {}", other),
        })
    }
}

impl From<&str> for Failure {
    fn from(text: &str) -> Failure {
        Failure(text.to_string())
    }
}

pub type Handler = fn(&mut Context, &Event) -> Result<Answer, Failure>;

/// What the exported function does: a panic is a failure of the event and not of the worker.
pub fn run(context: &mut Context, event: &Event, handler: Handler) -> i32 {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| handler(context, event)));
    let answer = match outcome {
        Ok(Ok(answer)) => answer,
        Ok(Err(Failure(reason))) => return fail(context, event, &reason),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
            let reason = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            return fail(context, event, &format!("panicked: {}", reason));
        }
    };
    let typed = [(CONTENT_TYPE, "", answer.content_type)];
    let items = if answer.content_type.is_empty() { &typed[..0] } else { &typed[..] };
    match context.write(RESULT, event.ticket, answer.status, 0, items, &answer.body, false) {
        Ok(()) => 0,
        Err(_) => fail(context, event, "Cannot answer: too large"),
    }
}

fn fail(context: &mut Context, event: &Event, reason: &str) -> i32 {
    let _ = context.write(RESULT, event.ticket, 500, 0, &[(ERROR, "", cut(reason, 4096))], &[], false);
    1
}

/// Exports what the host looks for.
#[macro_export]
macro_rules! export {
    ($handler:path) => {
        #[no_mangle]
        pub extern "C" fn dunlin_abi() -> u32 {
            $crate::dunlin::ABI
        }

        /// # Safety
        /// Called by the host, with a context and an event that are valid for the call.
        #[no_mangle]
        pub unsafe extern "C" fn dunlin_handle(context: *mut $crate::dunlin::Context, event: *const $crate::dunlin::Event) -> i32 {
            $crate::dunlin::run(&mut *context, &*event, $handler)
        }
    };
}
